// Maps of the same images, linked: what is pointed at or selected in one is so in all of them.
//
// Each map is one trace whose points are the images, in the same order everywhere. Pictures come one
// by one from Thaw's own route when they are pointed at. Plotly and texts are in plotly.js, which is
// put before this file. Text from people is only ever set as text.

const PICTURE_URL = "/thaw/picture";
const NARROW_PX = 700;
const RETRY_MS = 1000;
// Many images are smaller points.
const POINT_PX = [[300, 8], [1000, 6.5], [Infinity, 5]];
const FAINT = 0.13;
const GAP_PX = 14;
// Right or wrong, by the shape of a class.
const MARKS = { circle: ["circle", "x"], square: ["square", "cross"] };

const embeddings = new WeakMap();

class ImageMap {
  constructor(parent, panel, owner) {
    this.panel = panel;
    this.owner = owner;
    const box = element("figure", "thaw-map");
    const frame = element("div", "thaw-map-frame");
    this.div = element("div", "thaw-map-plot");
    this.div.dataset.panel = panel.key;
    this.div.setAttribute("role", "img");
    this.ring = element("div", "thaw-map-ring");
    this.ring.hidden = true;
    frame.append(this.div, this.ring);
    box.append(element("h4", "thaw-map-title", panel.title), element("p", "thaw-map-note", panel.note), frame);
    parent.append(box);
  }

  trace(ink) {
    const { groups, group } = this.owner.data;
    const wrong = this.panel.wrong;
    const [, size] = POINT_PX.find(([most]) => group.length <= most);
    return {
      type: "scatter",
      mode: "markers",
      hoverinfo: "none",
      x: this.panel.x,
      y: this.panel.y,
      selectedpoints: this.owner.selected.length ? this.owner.selected : null,
      marker: {
        color: group.map((one) => groups[one].colour),
        symbol: group.map((one, index) => MARKS[groups[one].shape][wrong?.[index] ? 1 : 0]),
        size: wrong ? wrong.map((one) => (one ? size + 2 : size)) : size,
        line: { color: ink.edge, width: 0.7 },
        // Sizes that differ would make them see-through.
        opacity: 1,
      },
      selected: { marker: { opacity: 1 } },
      unselected: { marker: { opacity: FAINT } },
    };
  }

  // Both axes have one scale: a distance is the same in every direction.
  layout(ink) {
    const axis = {
      color: ink.text,
      gridcolor: ink.grid,
      zeroline: false,
      showticklabels: this.panel.ticks,
      nticks: 5,
    };
    const isNarrow = this.owner.isNarrow;
    const title = (text) => ({ text: letters(text), font: { size: 12 }, standoff: 6 });
    return {
      // Where there is no pointer to come near, Plotly's buttons are always there.
      margin: { l: this.panel.ticks ? 58 : 34, r: 10, t: isNarrow ? 36 : 8, b: this.panel.ticks ? 44 : 32 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink.text, family: ink.family, size: 12 },
      showlegend: false,
      hovermode: "closest",
      hoverdistance: 16,
      // On a phone a drag scrolls the page; a class is chosen in the box above.
      dragmode: isNarrow ? false : "lasso",
      selections: [],
      newselection: { line: { color: ink.text, width: 1.2, dash: "dot" } },
      activeselection: { fillcolor: "rgba(0,0,0,0)" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: ink.edge, activecolor: ink.text },
      xaxis: { ...axis, title: title(this.panel.xTitle) },
      yaxis: { ...axis, title: title(this.panel.yTitle), scaleanchor: "x" },
    };
  }

  async start(ink) {
    this.div.setAttribute(
      "aria-label",
      `${this.panel.title}: ${this.panel.x.length} images on a plane, coloured by class`,
    );
    await plotly().newPlot(this.div, [this.trace(ink)], this.layout(ink), {
      responsive: true,
      displaylogo: false,
      modeBarButtonsToRemove: ["zoomIn2d", "zoomOut2d", "autoScale2d"],
    });
    this.div.on("plotly_hover", ({ points }) => this.owner.point(points[0].pointNumber, this));
    this.div.on("plotly_unhover", () => this.owner.leave());
    this.div.on("plotly_click", ({ points }) => this.owner.click(points[0].pointNumber));
    this.div.on("plotly_selected", (event) => {
      // Without a shape, it is what was just told to Plotly.
      if (event?.range || event?.lassoPoints) this.owner.choose(event.points.map((one) => one.pointNumber), this);
    });
    this.div.on("plotly_deselect", () => this.owner.choose([]));
    this.div.on("plotly_relayout", () => this.owner.leave());
  }

  // Shows what is selected; the shape that was drawn to select it stays on its own map alone.
  mark(selected, keepsShape) {
    const points = { selectedpoints: [selected.length ? selected : null] };
    return keepsShape || !this.div.layout.selections?.length
      ? plotly().restyle(this.div, points, [0])
      : plotly().update(this.div, points, { selections: [] }, [0]);
  }

  recolour(ink) {
    const { font, xaxis, modebar } = this.layout(ink);
    const change = {
      "font.color": font.color,
      "newselection.line.color": font.color,
      "modebar.color": modebar.color,
      "modebar.activecolor": modebar.activecolor,
    };
    for (const name of ["xaxis", "yaxis"]) {
      change[`${name}.color`] = xaxis.color;
      change[`${name}.gridcolor`] = xaxis.gridcolor;
    }
    return plotly().update(this.div, { "marker.line.color": ink.edge }, change, [0]);
  }

  // Returns where an image lies, in px from the corner of the plot; null where that is not seen.
  place(index) {
    const { xaxis, yaxis } = this.div._fullLayout;
    const x = xaxis.d2p(this.panel.x[index]);
    const y = yaxis.d2p(this.panel.y[index]);
    const inside = x >= 0 && y >= 0 && x <= xaxis._length && y <= yaxis._length;
    return inside ? [x + xaxis._offset, y + yaxis._offset] : null;
  }

  showRing(index) {
    const at = index === null ? null : this.place(index);
    this.ring.hidden = at === null;
    if (at) this.ring.style.transform = `translate(${at[0]}px, ${at[1]}px)`;
  }
}

class Embedding {
  constructor(parent) {
    this.root = parent.querySelector(".thaw-embedding");
    this.selected = [];
    this.maps = [];
    this.token = null;
    this.number = 0;
    this.onSelect = () => {};
    this.notice = element("p", "thaw-map-status");
    this.notice.setAttribute("role", "status");
    this.clear = element("button", "thaw-map-clear", "Select none");
    this.clear.type = "button";
    this.clear.onclick = () => this.choose([]);
    const bar = element("div", "thaw-map-bar");
    bar.append(this.notice, this.clear);
    this.legend = element("ul", "thaw-map-legend");
    this.grid = element("div", "thaw-map-grid");
    this.tip = element("div", "thaw-map-tip");
    this.tip.hidden = true;
    this.picture = element("img", "");
    this.picture.alt = "";
    this.picture.onerror = () => {
      this.picture.hidden = true;
      this.missing.hidden = false;
    };
    this.missing = element("div", "thaw-map-missing", "This picture is gone, or lies outside the folders that Thaw may read.");
    this.words = element("div", "");
    this.tip.append(this.picture, this.missing, this.words);
    this.root.append(this.legend, bar, this.grid, this.tip);
    this.root.addEventListener("transitionend", (event) => {
      if (event.propertyName === "color" && this.ready) this.recolour();
    });
    this.onScroll = () => this.leave();
    window.addEventListener("scroll", this.onScroll, { capture: true, passive: true });
  }

  get isNarrow() {
    return this.root.clientWidth < NARROW_PX;
  }

  ink() {
    const style = getComputedStyle(this.root);
    const channels = style.color.match(/[\d.]+/g).slice(0, 3).join(",");
    return {
      text: style.color,
      grid: `rgba(${channels},0.12)`,
      edge: `rgba(${channels},0.55)`,
      family: style.fontFamily,
    };
  }

  recolour() {
    for (const map of this.maps) map.recolour(this.ink());
  }

  async show(data) {
    const { selected, token, ...maps } = data;
    const wanted = JSON.stringify(maps);
    // What was selected here is known here; another token says that it was chosen elsewhere.
    const isOrder = token !== this.token;
    this.token = token;
    if (wanted === this.wanted) {
      if (isOrder) this.apply(selected, null);
      return;
    }
    if (isOrder) this.selected = selected;
    this.wanted = wanted;
    this.data = data;
    try {
      await loadPlotly();
    } catch (error) {
      this.wanted = null;
      setText(this.notice, "The maps could not be loaded; trying again…");
      setTimeout(() => this.show(data), RETRY_MS);
      return;
    }
    if (this.closed || wanted !== this.wanted) return;
    await this.draw();
  }

  async draw() {
    for (const map of this.maps) plotly().purge(map.div);
    this.leave();
    this.grid.replaceChildren();
    this.grid.dataset.count = this.data.panels.length;
    this.drawLegend();
    this.maps = this.data.panels.map((panel) => new ImageMap(this.grid, panel, this));
    await Promise.all(this.maps.map((map) => map.start(this.ink())));
    this.ready = true;
    this.tell();
  }

  drawLegend() {
    const items = this.data.groups.map(({ name, colour, shape, count }) => {
      const item = element("li", "");
      const dot = element("span", "thaw-map-dot");
      dot.dataset.shape = shape;
      dot.style.setProperty("--thaw-class", colour);
      item.append(dot, element("span", "", `${name} (${count.toLocaleString("en")})`));
      return item;
    });
    const wrong = element("li", "thaw-map-wrong", this.data.groups.some((one) => one.shape === "square") ? "× and + : taken for another class" : "× : taken for another class");
    this.legend.replaceChildren(...items, wrong);
  }

  // An image was selected or a shape was drawn here: the others follow, and the page is told.
  choose(indices, from = null) {
    this.apply([...new Set(indices)].sort((one, other) => one - other), from);
    this.number += 1;
    this.onSelect({ indices: this.selected, number: this.number });
  }

  click(index) {
    this.choose(this.selected.length === 1 && this.selected[0] === index ? [] : [index]);
  }

  apply(selected, from) {
    this.selected = selected;
    if (!this.ready) return;
    for (const map of this.maps) map.mark(selected, map === from);
    this.tell();
  }

  tell() {
    const num = this.selected.length;
    const all = this.data.group.length.toLocaleString("en");
    const how = this.isNarrow ? "Tap an image, or choose above" : "Draw round images, or click one";
    setText(
      this.notice,
      num ? `${num.toLocaleString("en")} of ${all} images selected, in every map.` : `${how}: it is selected in every map.`,
    );
    this.clear.hidden = !num;
    this.root.dataset.selected = num;
  }

  point(index, map) {
    for (const one of this.maps) one.showRing(index);
    const at = map.place(index);
    if (!at) return;
    const { pictures, classes, labels, answers } = this.data;
    const url = `${PICTURE_URL}/${pictures.run}/${pictures.places[index]}`;
    if (this.picture.getAttribute("src") !== url) {
      this.picture.hidden = false;
      this.missing.hidden = true;
      this.picture.src = url;
    }
    const lines = [element("strong", "", classes[labels[index]])];
    for (const { name, named, percent } of answers) {
      const isRight = named[index] === labels[index];
      const said = isRight ? "right" : `takes it for ${classes[named[index]]}`;
      lines.push(element("span", isRight ? "" : "thaw-map-fault", `${isRight ? "✓" : "✗"} ${name}: ${said}, ${percent[index]} %`));
    }
    this.words.replaceChildren(...lines);
    this.tip.hidden = false;
    this.tip.dataset.index = index;
    this.put(map.div.getBoundingClientRect(), at);
  }

  // Puts the picture beside its point, where the window has room for it.
  put(frame, [x, y]) {
    const { offsetWidth: width, offsetHeight: height } = this.tip;
    const right = frame.left + x + GAP_PX;
    const fits = right + width < document.documentElement.clientWidth;
    const left = fits ? right : frame.left + x - GAP_PX - width;
    const top = Math.min(frame.top + y - height / 2, window.innerHeight - height - 4);
    this.tip.style.left = `${Math.max(4, left)}px`;
    this.tip.style.top = `${Math.max(4, top)}px`;
  }

  leave() {
    this.tip.hidden = true;
    for (const map of this.maps) map.showRing(null);
  }

  close() {
    this.closed = true;
    window.removeEventListener("scroll", this.onScroll, { capture: true });
    for (const map of this.maps) plotly()?.purge(map.div);
  }
}

export default function ({ parentElement, data, setStateValue }) {
  let embedding = embeddings.get(parentElement);
  if (!embedding) {
    embedding = new Embedding(parentElement);
    embeddings.set(parentElement, embedding);
  }
  embedding.onSelect = (selection) => setStateValue("selection", selection);
  embedding.show(data);
  return () => {
    embedding.close();
    embeddings.delete(parentElement);
  };
}
