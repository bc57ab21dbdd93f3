// Keeps the parts of a page that have `data-live` up to date: asks for the page again every few seconds, and replaces
// what differs. What a reader does is left alone: a part with a selection or with the focus on something without an id
// waits, focus and opened details are kept, and forms are in no such part.
(() => {
  const EVERY = 3000;
  // An answer that never comes would stop all later ones.
  const GIVE_UP = 10000;
  const shown = new Map();
  let tag = null;
  let address = null;
  let isBusy = false;

  const isIn = (part, node) => node !== null && node !== part && part.contains(node);

  function isInUse(part) {
    const selection = document.getSelection();
    const isSelected = selection !== null && !selection.isCollapsed && isIn(part, selection.anchorNode);
    return isSelected || part.querySelector(".chart:hover") !== null || (isIn(part, document.activeElement) && !document.activeElement.id);
  }

  // A chart that is still the same stays, with its drawing; another shows the old drawing until its own has come.
  function keepCharts(part, fresh) {
    fresh.querySelectorAll(".chart").forEach((chart) => {
      chart.querySelector("noscript")?.remove();
      const old = document.getElementById(chart.id);
      if (!isIn(part, old)) return;
      const isSame = old.getAttribute("hx-get") === chart.getAttribute("hx-get");
      if (isSame && !old.querySelector(".failed")) chart.replaceWith(old);
      else if (old.querySelector("svg")) chart.replaceChildren(...old.childNodes);
    });
  }

  function replace(part, fresh) {
    const focused = isIn(part, document.activeElement) ? document.activeElement.id : null;
    part.querySelectorAll("details[id][open]").forEach((one) => {
      const again = fresh.querySelector(`#${CSS.escape(one.id)}`);
      if (again) again.open = true;
    });
    const scrolled = [...part.querySelectorAll("[id]")].filter((one) => one.scrollTop > 0)
      .map((one) => [one.id, one.scrollTop]);
    keepCharts(part, fresh);
    part.replaceChildren(...fresh.childNodes);
    window.htmx?.process(part);
    scrolled.forEach(([id, top]) => { const one = document.getElementById(id); if (one) one.scrollTop = top; });
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    part.dispatchEvent(new Event("andon:refreshed", { bubbles: true }));
  }

  // Gives whether every part is as the answer has it.
  function show(answer) {
    let isWhole = true;
    document.querySelectorAll("[data-live]").forEach((part) => {
      const fresh = answer.getElementById(part.id);
      if (fresh === null || shown.get(part.id) === fresh.innerHTML) return;
      if (isInUse(part)) { isWhole = false; return; }
      shown.set(part.id, fresh.innerHTML);
      replace(part, document.adoptNode(fresh));
    });
    document.title = answer.title;
    return isWhole;
  }

  async function refresh() {
    if (isBusy || document.hidden || !document.querySelector("[data-live]")) return;
    isBusy = true;
    try {
      // Another list, after htmx or the back button, is no change of this one.
      if (address !== location.href) { address = location.href; tag = null; shown.clear(); }
      const headers = tag ? { "If-None-Match": tag } : {};
      const answer = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(GIVE_UP) });
      document.getElementById("offline").hidden = answer.ok || answer.status === 304;
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        tag = show(page) ? answer.headers.get("ETag") : null;
      }
    } catch {
      document.getElementById("offline").hidden = false;
    }
    isBusy = false;
  }

  // htmx has put another list in place: what it shows is not known here.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.closest(".chart")) return;
    tag = null;
    shown.clear();
  });
  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, EVERY);
})();
