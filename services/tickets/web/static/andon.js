// Tells the server the reader's zone, in which it writes all times, and shows the values of charts.
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

  // Values of a chart on hover, and with the arrow keys where it has the focus.
  class ChartReader {
    constructor(chart) {
      this.points = JSON.parse(chart.dataset.points);
      this.svg = chart.querySelector("svg");
      this.readout = chart.parentElement.querySelector(".readout");
      if (!this.points.length || !this.svg || !this.readout) return;
      this.at = this.points.length - 1;
      chart.addEventListener("pointermove", (event) => this.show(this.nearest(event.clientX)));
      chart.addEventListener("pointerleave", () => { if (document.activeElement !== chart) this.hide(); });
      chart.addEventListener("focus", () => this.show(this.at));
      chart.addEventListener("blur", () => this.hide());
      chart.addEventListener("keydown", (event) => this.onKey(event));
    }

    nearest(clientX) {
      const box = this.svg.getBoundingClientRect();
      const x = ((clientX - box.left) / box.width) * this.svg.viewBox.baseVal.width;
      const far = (index) => Math.abs(this.points[index][0] - x);
      return this.points.reduce((best, _, index) => (far(index) < far(best) ? index : best), 0);
    }

    onKey(event) {
      const last = this.points.length - 1;
      const to = { ArrowLeft: this.at - 1, ArrowRight: this.at + 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      this.show(Math.min(last, Math.max(0, to)));
    }

    show(index) {
      this.at = index;
      const [x, text] = this.points[index];
      if (!this.cursor) {
        this.cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
        this.cursor.setAttribute("class", "cursor");
        this.svg.append(this.cursor);
      }
      for (const [name, value] of [["x1", x], ["x2", x], ["y1", 4], ["y2", this.svg.viewBox.baseVal.height - 42]]) {
        this.cursor.setAttribute(name, value);
      }
      this.readout.textContent = text;
    }

    hide() {
      if (this.cursor) this.cursor.remove();
      this.cursor = null;
      this.readout.textContent = "";
    }
  }

  function readCharts(root) {
    root.querySelectorAll(".chart[data-points]").forEach((chart) => {
      if (!chart.reader) chart.reader = new ChartReader(chart);
    });
  }

  sendZone();
  readCharts(document);
  document.addEventListener("andon:refreshed", (event) => readCharts(event.target));
  // After a ticket is acknowledged, htmx swaps in the new list. The button is gone, so focus the ticket's title or,
  // where the ticket is no longer in the list, the heading.
  document.addEventListener("htmx:afterSettle", (event) => {
    readCharts(document);
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
  document.addEventListener("htmx:sendError", () => {
    const seen = document.getElementById("seen");
    if (seen) seen.textContent = "That did not work: Andon cannot be reached. Try again in a minute.";
  });
})();
