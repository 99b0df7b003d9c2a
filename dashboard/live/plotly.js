// Plotly, loaded once for all components of a page, and texts that stay texts.

const PLOTLY_URL = "/thaw/plotly.js";

let plotlyLoading = null;

// The one that drew the first of our charts. Streamlit's own charts bring another and put it in the
// place of ours: of a chart that one drew, the other does not know what a person did to it.
const plotly = () => window.thawPlotly;

function loadPlotly() {
  window.thawPlotly ??= window.Plotly;
  if (window.thawPlotly) return Promise.resolve();
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PLOTLY_URL;
    script.onload = () => {
      window.thawPlotly = window.Plotly;
      resolve();
    };
    script.onerror = () => {
      plotlyLoading = null;
      script.remove();
      reject(new Error("Plotly could not be loaded"));
    };
    document.head.appendChild(script);
  });
  return plotlyLoading;
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

// Returns text from a person so that Plotly shows it as it is: it knows some HTML.
function letters(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// Changes a text only where it differs, since every change is a repaint.
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
