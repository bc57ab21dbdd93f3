// Rewrites times in the reader's zone. Without scripts they are in the policy's zone, which the footer names.
(() => {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const write = (at, options) => new Intl.DateTimeFormat("en-GB", options).format(at);
  const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());

  function day(at, now) {
    const days = Math.round((midnight(at) - midnight(now)) / 86400000);
    const near = { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days];
    const year = at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" };
    return near || write(at, { day: "numeric", month: "long", ...year });
  }

  function rewrite(element, now) {
    const at = new Date(element.dateTime);
    const form = element.dataset.form;
    let text = day(at, now);
    if (form !== "day") text += " at " + write(at, { hour: "2-digit", minute: "2-digit" });
    element.textContent = form === "when" && /^\d/.test(text) ? "on " + text : text;
    element.title = write(at, {
      weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
      timeZoneName: "short",
    });
  }

  function rewriteAll(root) {
    const now = new Date();
    root.querySelectorAll("time[data-form]").forEach((element) => rewrite(element, now));
    root.querySelectorAll("[data-zone]").forEach((element) => { element.textContent = zone; });
  }

  rewriteAll(document);
  document.addEventListener("andon:refreshed", (event) => rewriteAll(event.target));
  // After a ticket is acknowledged, htmx swaps in the new list. The button is gone, so focus the ticket's title or,
  // where the ticket is no longer in the list, the heading.
  document.addEventListener("htmx:afterSettle", (event) => {
    rewriteAll(document);
    const row = event.detail.requestConfig.elt.closest("li").id;
    const heading = document.querySelector("h1");
    heading.tabIndex = -1;
    (document.querySelector(`#${row} a.title`) || heading).focus();
  });
  // htmx does not show errors: send the form the plain way, so that its page says what to do.
  document.addEventListener("htmx:responseError", (event) => event.detail.requestConfig.elt.submit());
  document.addEventListener("htmx:sendError", () => {
    document.getElementById("seen").textContent = "That did not work: Andon cannot be reached. Try again in a minute.";
  });
})();
