// A second button in the bar of each of Streamlit's charts: the chart as an SVG, beside the PNG.
//
// Streamlit passes no functions to Plotly, so the button is added when a chart is pointed at or
// focused, which is when its bar is shown. It has Plotly's own button do the work.
const HEARD = "thawSvgButtons";
const TITLE = "Download plot as an SVG";

function addButton(plot) {
  const png = plot.querySelector('.modebar-btn[data-title$="PNG"]');
  if (!png || plot.querySelector(".thaw-svg")) return;
  const svg = png.cloneNode(true);
  svg.classList.add("thaw-svg");
  svg.dataset.title = TITLE;
  svg.setAttribute("aria-label", TITLE);
  const arrow = svg.querySelector("path");
  if (arrow) {
    arrow.parentElement.setAttribute("viewBox", "0 0 24 24");
    arrow.setAttribute("d", "M5 20h14v-2H5v2zM19 9h-4V3H9v6H5l7 7 7-7z");
    arrow.removeAttribute("transform");
  }
  svg.addEventListener("click", () => {
    const options = plot._context.toImageButtonOptions;
    const { format } = options;
    options.format = "svg";
    png.click();
    options.format = format;
  });
  png.after(svg);
}

function readSoon(path) {
  if (!path) return;
  requestIdleCallback(() => {
    // Live charts have what draws them, and other things to do.
    if (document.querySelector(".thaw-live")) return;
    // The same address as the one that Streamlit asks for, else it would be read twice.
    import(new URL(path, location.origin).href).catch(() => {});
  });
}

export default function ({ data }) {
  readSoon(data?.chart_script);
  if (window[HEARD]) return;
  window[HEARD] = true;
  const hear = (event) => {
    const plot = event.target.closest?.(".stPlotlyChart .js-plotly-plot");
    if (plot) addButton(plot);
  };
  for (const kind of ["pointerover", "focusin"])
    document.addEventListener(kind, hear, { capture: true, passive: true });
}
