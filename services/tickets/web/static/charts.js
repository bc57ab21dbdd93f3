// Shows charts, each of which htmx fetches once it is in sight, and their values on hover and focus.
// Without scripts each is a picture.
(() => {
  const FAILED = "This chart cannot be drawn just now.";
  const SVG = "image/svg+xml";
  const chartOf = (event) => (event.target instanceof Element ? event.target.closest(".chart") : null);

  // Values of a chart on hover, and with the arrow keys where it has the focus.
  class ChartReader {
    constructor(chart) {
      this.chart = chart;
      this.readout = chart.parentElement.querySelector(".readout");
      chart.addEventListener("pointermove", (event) => this.show(this.nearest(event.clientX)));
      chart.addEventListener("pointerleave", () => { if (!this.hasFocus()) this.hide(); });
      chart.addEventListener("focus", () => this.show(this.at));
      chart.addEventListener("blur", () => this.hide());
      chart.addEventListener("keydown", (event) => this.onKey(event));
    }

    hasFocus() { return document.activeElement === this.chart; }

    // Take up another drawing. Its last point shows first.
    read() {
      const svg = this.chart.querySelector("svg");
      if (!svg || svg === this.svg) return;
      this.svg = svg;
      this.cursor = null;
      this.points = JSON.parse(svg.dataset.points);
      this.at = this.points.length - 1;
      if (this.hasFocus()) this.show(this.at);
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
      if (!this.points.length) return;
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

  function read(chart) {
    if (!chart.querySelector("svg")) return;
    if (!chart.reader) chart.reader = new ChartReader(chart);
    chart.reader.read();
  }

  // The title and the numbers are there. A page that keeps itself up to date asks again.
  function fail(chart) {
    const words = document.createElement("p");
    words.className = "failed small";
    words.textContent = FAILED;
    chart.replaceChildren(words);
  }

  const isDrawing = (answer) => answer.status === 200 && answer.getResponseHeader("Content-Type") === SVG;

  // Printing waits for nothing that is fetched in the background: get what nobody has scrolled to yet, one by one.
  function fetchForPaper(chart) {
    const asked = new XMLHttpRequest();
    asked.open("GET", chart.getAttribute("hx-get"), false);
    try { asked.send(); } catch { fail(chart); return; }
    if (!isDrawing(asked)) { fail(chart); return; }
    chart.innerHTML = asked.responseText;
    read(chart);
  }

  addEventListener("beforeprint", () => {
    document.querySelectorAll(".chart:not(:has(svg))").forEach(fetchForPaper);
  });
  document.addEventListener("andon:refreshed", (event) => event.target.querySelectorAll(".chart").forEach(read));
  document.addEventListener("htmx:beforeSwap", (event) => {
    const chart = chartOf(event);
    // Such as the page to sign in, after a session has ended.
    if (chart && !isDrawing(event.detail.xhr)) { event.detail.shouldSwap = false; fail(chart); }
  });
  document.addEventListener("htmx:afterSwap", (event) => { const chart = chartOf(event); if (chart) read(chart); });
  ["htmx:sendError", "htmx:timeout"].forEach((name) => document.addEventListener(name, (event) => {
    const chart = chartOf(event);
    if (chart) fail(chart);
  }));
})();
