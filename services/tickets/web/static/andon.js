// Tells the server the reader's zone, in which it writes all times, and sends forms of the list.
// Without scripts, times are in the policy's zone; the footer names the zone in any case.
(() => {
  function sendZone() {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    // Browsers refuse this name over plain HTTP, and else keep other hosts of the domain from setting it.
    const isSecure = location.protocol === "https:";
    const cookie = `${isSecure ? "__Host-" : ""}andon_zone=${encodeURIComponent(zone)}`;
    const isSent = () => document.cookie.split("; ").includes(cookie);
    if (!zone || document.documentElement.dataset.zone === zone || isSent()) return;
    document.cookie = `${cookie}; path=/; max-age=31536000; samesite=lax${isSecure ? "; secure" : ""}`;
    // The answer to a form would be sent again, and what was written in it lost: the next page is in the zone.
    if (isSent() && !document.querySelector("[data-answer]")) location.reload();
  }

  sendZone();
  // After a ticket is acknowledged, htmx swaps in the new list. The button is gone, so focus the ticket's title or,
  // where the ticket is no longer in the list, the heading.
  document.addEventListener("htmx:afterSettle", (event) => {
    const row = event.detail.requestConfig.elt.closest("li");
    if (!row) return;
    const heading = document.querySelector("h1");
    heading.tabIndex = -1;
    (document.querySelector(`#${row.id} a.title`) || heading).focus();
  });
  // htmx does not show errors: send the form the plain way, so that its page says what to do.
  document.addEventListener("htmx:responseError", (event) => {
    const sent = event.detail.requestConfig.elt;
    if (sent instanceof HTMLFormElement) sent.submit();
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (!(event.detail.requestConfig.elt instanceof HTMLFormElement)) return;
    const seen = document.getElementById("seen");
    if (seen) seen.textContent = "That did not work: Andon cannot be reached. Try again in a minute.";
  });
})();
