// Draws the charts of a report, in the colours that the reader's system asks for, light on paper.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // The width of a sheet of A4 or letter between its margins, in CSS pixels.
  const PAPER = 670;
  const ARROW = "M5 20h14v-2H5v2zM19 9h-4V3H9v6H5l7 7 7-7z";
  const plots = [...document.querySelectorAll(".plot")];

  function look(isDark) {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    const ink = isDark
      ? { text: of("text"), paper: of("paper"), line: of("line") }
      : { text: "#1c2430", paper: "#ffffff", line: "#d8dfe8" };
    const axis = { gridcolor: ink.line, zerolinecolor: ink.line, linecolor: ink.line };
    return {
      layout: {
        font: { family: "system-ui, sans-serif", size: 12, color: ink.text },
        paper_bgcolor: ink.paper,
        plot_bgcolor: ink.paper,
        hoverlabel: { namelength: -1 },
        hovermode: "closest",
        xaxis: axis,
        yaxis: axis,
      },
      // Plotly would choose by the colour of the cell, whose see-through it does not see.
      data: { heatmap: [{ textfont: { color: ink.text } }] },
    };
  }

  function fileName(plot) {
    const text = `${document.title} ${plot.dataset.name}`.toLowerCase();
    return text.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 100);
  }

  function config(plot) {
    const filename = fileName(plot);
    return {
      responsive: true,
      displaylogo: false,
      toImageButtonOptions: { format: "png", filename, scale: 2 },
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
      modeBarButtonsToAdd: [
        {
          name: "Download plot as an SVG",
          icon: { width: 24, height: 24, path: ARROW },
          click: (drawn) => window.Plotly.downloadImage(drawn, { format: "svg", filename }),
        },
      ],
    };
  }

  async function draw(plot) {
    const figure = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
    const layout = { ...figure.layout, template: look(dark.matches), autosize: true };
    delete layout.width;
    plot.replaceChildren();
    await window.Plotly.newPlot(plot, figure.data, layout, config(plot));
    plot.dataset.drawn = "yes";
  }

  function recolour(isDark, width) {
    for (const plot of plots)
      if (plot.dataset.drawn)
        window.Plotly.relayout(plot, { template: look(isDark), width, autosize: !width });
  }

  dark.addEventListener("change", () => recolour(dark.matches, null));
  addEventListener("beforeprint", () => recolour(false, PAPER));
  addEventListener("afterprint", () => recolour(dark.matches, null));
  for (const plot of plots) draw(plot);
})();
