// The live view of runs: cards and four charts, fed by the event stream /thaw/events.
//
// Events carry a `seq` without gaps per run; what was seen is remembered, so that a stream that
// breaks and comes back continues where it stopped. Text from people is only ever set as text.

const PLOTLY_URL = "/thaw/plotly.js";
const STREAM_URL = "/thaw/events";
const DRAW_EVERY_MS = 100;
// Redrawing is what watching costs the machine that trains: charts that change slowly are drawn
// less often, and charts that are scrolled out of sight not at all until they come back.
const DRAW_SLOW_EVERY_MS = 3000;
const RECONNECT_MS = 1000;
const DRAWN_KEPT = 2000;
const ACTIVE = new Set(["queued", "running", "stopping"]);

const CHARTS = [
  { key: "loss", title: "Loss", hint: "thick: validation, thin: training", y: "cross-entropy" },
  { key: "accuracy", title: "Accuracy", hint: "thick: validation, dotted: training", y: "share of images right", format: ".0%" },
  { key: "lr", title: "Learning rate", hint: "solid: head, dashed: backbone", y: "learning rate per step", exponent: true, slow: true },
  { key: "speed", title: "Throughput", hint: "training images; features that are computed once go by fast", y: "images per second (log)", log: true, slow: true },
];

const instances = new WeakMap();
let plotlyLoading = null;

function loadPlotly() {
  if (window.Plotly) return Promise.resolve();
  plotlyLoading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = PLOTLY_URL;
    script.onload = resolve;
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

function percent(fraction) {
  return `${(100 * fraction).toFixed(1)} %`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

class RunView {
  constructor(card, onStop) {
    Object.assign(this, card);
    this.seq = 0;
    this.status = "queued";
    this.reason = "";
    this.task = "";
    this.fraction = 0;
    this.epoch = 0;
    this.best = null;
    this.speed = null;
    this.stepsPerEpoch = null;
    this.firstStep = null;
    this.lastStep = null;
    this.build(onStop);
  }

  build(onStop) {
    this.root = element("section", "thaw-card");
    this.root.style.setProperty("--thaw-run", this.colour);
    this.root.dataset.run = this.id;
    const head = element("div", "thaw-head");
    this.statusText = element("span", "thaw-status");
    this.statusText.setAttribute("role", "status");
    head.append(element("span", "thaw-name", this.label), this.statusText);
    this.bar = element("div", "thaw-bar");
    this.bar.setAttribute("role", "progressbar");
    this.bar.setAttribute("aria-label", `Progress of ${this.label}`);
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", "100");
    this.bar.append(element("div", ""));
    this.line = element("div", "thaw-line");
    const foot = element("div", "thaw-best");
    this.bestText = element("span", "");
    this.stop = element("button", "thaw-stop", "Stop");
    this.stop.type = "button";
    this.stop.setAttribute("aria-label", `Stop ${this.label}`);
    this.stop.onclick = () => {
      this.stop.disabled = true;
      this.stop.textContent = "Stopping…";
      onStop(this.id);
    };
    foot.append(this.bestText, this.stop);
    this.root.append(head, this.bar, this.line, foot);
  }

  // Returns the points that an event adds, as [chart, trace, x, y].
  take(event) {
    const values = event.values;
    if (event.kind === "status") {
      this.status = values.status;
      this.reason = values.reason || "";
      return [];
    }
    if (event.kind === "progress") {
      this.task = values.task;
      this.fraction = values.total ? values.done / values.total : 0;
      if (values.total) this.task += ` ${values.done} of ${values.total}`;
      if (values.steps_per_epoch) this.stepsPerEpoch = values.steps_per_epoch;
      return [];
    }
    return event.kind === "step" ? this.takeStep(event) : this.takeEpoch(event);
  }

  takeStep(event) {
    const at = event.step / (this.stepsPerEpoch || 1);
    this.epoch = event.epoch;
    this.fraction = at / this.epochs;
    this.speed = event.values.images_per_second;
    this.firstStep ??= { time: event.time, fraction: this.fraction };
    this.lastStep = { time: event.time, fraction: this.fraction };
    const points = [
      ["loss", "train", at, event.values["train/loss"]],
      ["speed", "train", at, event.values.images_per_second],
    ];
    for (const [name, value] of Object.entries(event.values)) {
      if (name.startsWith("lr/")) points.push(["lr", name.slice(3), at, value]);
    }
    return points;
  }

  takeEpoch(event) {
    const values = event.values;
    this.epoch = event.epoch;
    if (this.best === null || values["val/accuracy"] > this.best) {
      this.best = values["val/accuracy"];
      this.bestEpoch = event.epoch;
    }
    return [
      ["loss", "val", event.epoch, values["val/loss"]],
      ["accuracy", "train", event.epoch, values["train/accuracy"]],
      ["accuracy", "val", event.epoch, values["val/accuracy"]],
    ];
  }

  secondsLeft() {
    if (!this.firstStep || this.lastStep.fraction <= this.firstStep.fraction) return null;
    const rate =
      (this.lastStep.time - this.firstStep.time) / (this.lastStep.fraction - this.firstStep.fraction);
    const sinceLast = Math.max(0, Date.now() / 1000 - this.lastStep.time);
    return Math.max(0, rate * (1 - this.lastStep.fraction) - sinceLast);
  }

  describe() {
    if (this.reason) return this.reason;
    if (this.status === "queued") return "Waiting for its turn; it starts by itself.";
    if (!this.epoch) return this.task ? `${this.task}…` : "Starting…";
    const parts = [`epoch ${this.epoch} of ${this.epochs}`];
    if (this.speed !== null && ACTIVE.has(this.status)) parts.push(`${Math.round(this.speed)} images/s`);
    const left = this.secondsLeft();
    if (left !== null && this.status === "running") parts.push(`${duration(left)} left`);
    return parts.join(" · ");
  }

  render() {
    const active = ACTIVE.has(this.status);
    const done = this.status === "finished" ? 1 : this.fraction;
    this.statusText.textContent = this.status;
    this.statusText.dataset.status = this.status;
    this.bar.firstChild.style.width = `${100 * done}%`;
    this.bar.setAttribute("aria-valuenow", String(Math.round(100 * done)));
    this.line.textContent = this.describe();
    this.bestText.textContent =
      this.best === null ? "" : `best ${percent(this.best)} in epoch ${this.bestEpoch}`;
    this.stop.hidden = !active;
    if (this.status === "stopping") {
      this.stop.disabled = true;
      this.stop.textContent = "Stopping…";
    }
  }
}

class Chart {
  constructor(plan, parent) {
    this.plan = plan;
    this.traces = new Map();
    this.pending = new Map();
    this.visible = true;
    this.drawnAt = -Infinity;
    const box = element("figure", "thaw-chart");
    box.style.marginBlock = box.style.marginInline = "0";
    this.div = element("div", "thaw-plot");
    this.div.dataset.chart = plan.key;
    this.div.setAttribute("role", "img");
    this.div.setAttribute("aria-label", `${plan.title} against epochs`);
    box.append(element("h4", "thaw-title", plan.title), element("p", "thaw-key", plan.hint), this.div);
    parent.append(box);
  }

  // Margins are fixed: measuring the labels anew doubles the cost of a redraw.
  layout(ink) {
    const axis = { color: ink.text, gridcolor: ink.grid, zeroline: false };
    const y = { ...axis, title: { text: this.plan.y, font: { size: 12 } } };
    if (this.plan.format) y.tickformat = this.plan.format;
    if (this.plan.log) Object.assign(y, { type: "log", dtick: 1 });
    if (this.plan.exponent) y.exponentformat = "e";
    return {
      margin: { l: 64, r: 14, t: 10, b: 42 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink.text, family: ink.family, size: 12 },
      showlegend: false,
      hovermode: "closest",
      hoverlabel: { namelength: -1 },
      uirevision: "live",
      xaxis: { ...axis, title: { text: "epochs", font: { size: 12 } }, rangemode: "tozero" },
      yaxis: y,
    };
  }

  start(ink) {
    return window.Plotly.newPlot(this.div, [], this.layout(ink), {
      responsive: true,
      displaylogo: false,
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    });
  }

  recolour(ink) {
    const { font, xaxis, yaxis } = this.layout(ink);
    return window.Plotly.relayout(this.div, {
      "font.color": font.color,
      "xaxis.color": xaxis.color,
      "xaxis.gridcolor": xaxis.gridcolor,
      "yaxis.color": yaxis.color,
      "yaxis.gridcolor": yaxis.gridcolor,
    });
  }

  add(run, name, x, y) {
    const key = `${run.id}/${name}`;
    if (!this.pending.has(key)) this.pending.set(key, { run, name, x: [], y: [] });
    const points = this.pending.get(key);
    points.x.push(x);
    points.y.push(y);
  }

  style(run, name) {
    const quiet = name === "train" && this.plan.key !== "speed";
    const dash = { accuracy: { train: "dot" }, lr: { backbone: "dash" } }[this.plan.key]?.[name];
    return {
      name: `${run.label}, ${name}`,
      mode: name === "val" || this.plan.key === "accuracy" ? "lines+markers" : "lines",
      line: { color: run.colour, width: quiet ? 1.2 : 2.4, dash: dash || "solid" },
      marker: { size: quiet ? 3 : 6 },
      opacity: quiet ? 0.65 : 1,
    };
  }

  // Returns in how many ms the pending points are due; Infinity where there are none to draw.
  dueIn(now) {
    if (!this.pending.size || !this.visible) return Infinity;
    const fresh = [...this.pending.keys()].some((key) => !this.traces.has(key));
    const every = this.plan.slow && !fresh ? DRAW_SLOW_EVERY_MS : DRAW_EVERY_MS;
    return Math.max(0, this.drawnAt + every - now);
  }

  draw(now) {
    this.drawnAt = now;
    const fresh = [];
    const extend = { x: [], y: [], index: [] };
    for (const [key, { run, name, x, y }] of this.pending) {
      if (this.traces.has(key)) {
        extend.x.push(x);
        extend.y.push(y);
        extend.index.push(this.traces.get(key));
      } else {
        this.traces.set(key, this.traces.size);
        fresh.push({ ...this.style(run, name), x, y });
      }
    }
    this.pending.clear();
    const work = [];
    if (extend.index.length) {
      work.push(window.Plotly.extendTraces(this.div, { x: extend.x, y: extend.y }, extend.index));
    }
    if (fresh.length) work.push(window.Plotly.addTraces(this.div, fresh));
    return Promise.all(work);
  }

  clear() {
    this.traces.clear();
    this.pending.clear();
    if (this.div.data?.length) {
      window.Plotly.deleteTraces(this.div, this.div.data.map((_, index) => index));
    }
  }
}

class Live {
  constructor(parent) {
    this.root = parent.querySelector(".thaw-live");
    this.runs = new Map();
    this.undrawn = [];
    this.cardsAt = -Infinity;
    this.root.thawDrawn = [];
    this.onStop = () => {};
    this.notice = element("div", "thaw-notice");
    this.notice.hidden = true;
    this.notice.setAttribute("role", "alert");
    this.empty = element("div", "thaw-notice", "Nothing is running. Start on the Train page: the run shows up here by itself.");
    this.empty.hidden = true;
    this.cards = element("div", "thaw-cards");
    const charts = element("div", "thaw-charts");
    this.root.append(this.notice, this.empty, this.cards, charts);
    this.charts = Object.fromEntries(CHARTS.map((plan) => [plan.key, new Chart(plan, charts)]));
    this.root.addEventListener("transitionend", (event) => {
      if (event.propertyName === "color" && this.ready) this.recolour();
    });
    this.clock = setInterval(() => this.renderCards(), 1000);
    this.sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        this.charts[target.dataset.chart].visible = isIntersecting;
      }
      this.plan();
    });
    for (const chart of Object.values(this.charts)) this.sight.observe(chart.div);
  }

  ink() {
    const style = getComputedStyle(this.root);
    const channels = style.color.match(/[\d.]+/g).slice(0, 3).join(",");
    return { text: style.color, grid: `rgba(${channels},0.14)`, family: style.fontFamily };
  }

  recolour() {
    for (const chart of Object.values(this.charts)) chart.recolour(this.ink());
  }

  async show(data) {
    const wanted = JSON.stringify(data);
    if (wanted === this.wanted) return;
    const stillFollowing = this.data?.follow && data.follow;
    this.wanted = wanted;
    this.data = data;
    try {
      await loadPlotly();
      if (!this.ready) {
        await Promise.all(Object.values(this.charts).map((chart) => chart.start(this.ink())));
        this.ready = true;
      }
    } catch (error) {
      this.wanted = null;
      this.say("The charts could not be loaded; trying again…");
      setTimeout(() => this.show(data), RECONNECT_MS);
      return;
    }
    if (this.closed || wanted !== this.wanted) return;
    if (!stillFollowing) this.leaveOut(new Set(data.runs));
    this.connect();
  }

  // Takes runs off the page that are no longer asked for.
  leaveOut(wanted) {
    if ([...this.runs.keys()].every((id) => wanted.has(id))) return;
    for (const chart of Object.values(this.charts)) chart.clear();
    this.cards.replaceChildren();
    this.runs.clear();
    this.undrawn = [];
  }

  connect() {
    this.source?.close();
    clearTimeout(this.retry);
    const query = new URLSearchParams();
    const ids = new Set([...this.data.runs, ...this.runs.keys()]);
    for (const id of ids) query.append("run", `${id}:${this.runs.get(id)?.seq ?? 0}`);
    if (this.data.follow) query.append("follow", "1");
    const source = new EventSource(`${STREAM_URL}?${query}`);
    this.source = source;
    source.onopen = () => this.say("");
    source.onmessage = (message) => this.receive(JSON.parse(message.data));
    source.onerror = () => {
      source.close();
      if (this.closed || source !== this.source) return;
      this.say("The connection was lost; training goes on. Trying again…");
      this.retry = setTimeout(() => this.connect(), RECONNECT_MS);
    };
    this.empty.hidden = ids.size > 0;
  }

  say(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  receive({ runs = [], events = [] }) {
    for (const card of runs) {
      if (this.runs.has(card.id)) continue;
      const run = new RunView(card, (id) => this.onStop(id));
      this.runs.set(card.id, run);
      this.cards.append(run.root);
      this.empty.hidden = true;
    }
    for (const event of events) {
      const run = this.runs.get(event.run_id);
      if (!run || event.seq <= run.seq) continue;
      run.seq = event.seq;
      for (const [chart, name, x, y] of run.take(event)) this.charts[chart].add(run, name, x, y);
      this.undrawn.push({ run: event.run_id, seq: event.seq, kind: event.kind, time: event.time });
    }
    this.undrawn.splice(0, this.undrawn.length - DRAWN_KEPT);
    this.stale = true;
    this.plan();
  }

  // Sees to it that the next frame after the first due chart draws all that are due.
  plan() {
    if (this.closed || !this.ready) return;
    const now = performance.now();
    const due = Math.min(...Object.values(this.charts).map((chart) => chart.dueIn(now)));
    const cards = this.stale ? Math.max(0, this.cardsAt + DRAW_EVERY_MS - now) : Infinity;
    const wait = Math.min(due, cards);
    if (wait === Infinity) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => requestAnimationFrame(() => this.draw()), wait);
  }

  async draw() {
    if (this.closed) return;
    const now = performance.now();
    const due = Object.values(this.charts).filter((chart) => chart.dueIn(now) <= 1);
    this.stale = false;
    this.cardsAt = now;
    this.renderCards();
    await Promise.all(due.map((chart) => chart.draw(now)));
    if (due.includes(this.charts.loss)) this.noteDrawn();
    this.plan();
  }

  // Keeps when each point appeared on the loss chart, for whoever measures it.
  noteDrawn() {
    const drawn = Date.now() / 1000;
    for (const event of this.undrawn) this.root.thawDrawn.push({ ...event, drawn });
    this.undrawn = [];
    this.root.thawDrawn.splice(0, this.root.thawDrawn.length - DRAWN_KEPT);
  }

  renderCards() {
    for (const run of this.runs.values()) run.render();
  }

  close() {
    this.closed = true;
    this.source?.close();
    clearTimeout(this.retry);
    clearInterval(this.clock);
    clearTimeout(this.timer);
    this.sight.disconnect();
    for (const chart of Object.values(this.charts)) window.Plotly?.purge(chart.div);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  let live = instances.get(parentElement);
  if (!live) {
    live = new Live(parentElement);
    instances.set(parentElement, live);
  }
  live.onStop = (id) => setTriggerValue("stop", id);
  live.show(data);
  return () => {
    live.close();
    instances.delete(parentElement);
  };
}
