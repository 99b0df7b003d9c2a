// The live view of runs: cards and charts, fed by the event stream /thaw/events.
//
// Events carry a `seq` without gaps per run; what was seen is remembered, so that a stream that
// breaks and comes back continues where it stopped. Text from people is only ever set as text.
// Plotly and texts are in plotly.js, the stage bars on the cards, what an update tells, the points of a
// line and the legend in stages.js, update.js, series.js and legend.js, which are put before this file.

const STREAM_URL = "/thaw/events";
const DRAW_EVERY_MS = 100;
// So many events at once are history, of which more is on its way; it is drawn now and then only.
const MANY_EVENTS = 500;
const DRAW_HISTORY_EVERY_MS = 1000;
// What watching costs is taken from the machine that trains, and a redraw by Plotly costs as much
// as a hundred points. So new points are first drawn as a tail over the chart, and handed to Plotly
// all together: when they are many or old, when the pointer comes near, when they would not fit the
// axes, and when a run ends. Charts that are scrolled out of sight are not drawn at all.
const HAND_OVER_MS = 60000;
const HAND_OVER_POINTS = 300;
const SVG = "http://www.w3.org/2000/svg";
const ROOM = 1.15;
const LOG_ROOM = 1.5;
const RECONNECT_MS = 1000;
// A tab that nobody sees gives its stream back, of which a browser has six for a server, and takes
// up all that it has missed when it is looked at again.
const UNSEEN_MS = 10000;
const SEEN = ["visibilitychange", "resume"];
const CLOCK_MS = 1500;
const ASK_AGAIN_MS = 10000;
const DRAWN_KEPT = 2000;
// Places on an act's line at which the pointer finds its sentence, as shares of the chart's height.
const MARK_HEIGHTS = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((eighth) => eighth / 8);
const ACTIVE = new Set(["queued", "running", "stopping", "pausing"]);
const RESUMABLE = new Set(["paused", "stopped", "interrupted", "failed"]);

const CHARTS = [
  { key: "loss", title: "Loss", hint: "thick: validation, thin: training", y: "cross-entropy" },
  { key: "accuracy", title: "Accuracy", hint: "thick: validation, dotted: training", y: "share of images right", format: ".0%" },
  { key: "update", onlyUpdates: true, title: "Old and new images", hint: "solid: old, dotted: new, thin: all, dashed: old before the update", y: "share of images right", format: ".0%" },
  { key: "lr", title: "Learning rate", hint: "solid: head, dashed: backbone, dotted: as planned", y: "learning rate per step", exponent: true },
  { key: "speed", title: "Throughput", hint: "training images; features that are computed once go by fast", y: "images per second (log)", log: true },
];

const DASHES = { accuracy: { train: "dot" }, lr: { backbone: "dash" }, update: { new: "dot" } };

const instances = new WeakMap();
function percent(fraction) {
  return `${(100 * fraction).toFixed(1)} %`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

// Returns an SVG path through points; null in ys breaks it.
function pathThrough(xs, ys) {
  let pen = "M";
  const parts = [];
  ys.forEach((y, index) => {
    if (y === null) {
      pen = "M";
      return;
    }
    parts.push(`${pen}${xs[index]},${y}`);
    pen = "L";
  });
  return parts.join("");
}

class RunView {
  constructor(card, onStop, onPause, onResume, onAct) {
    Object.assign(this, card);
    this.seq = 0;
    this.reason = "";
    this.task = "";
    this.kept = "";
    this.notes = [];
    this.fraction = 0;
    this.epoch = 0;
    this.best = null;
    this.speed = null;
    this.stepsPerEpoch = null;
    this.firstStep = null;
    this.lastStep = null;
    this.numSteps = 0;
    this.ratesTold = new Set();
    this.acts = [];
    this.stopAskedAt = -Infinity;
    this.stageBar = new StageBar(card, onAct);
    this.update = new UpdateTold();
    this.build(onStop, onPause, onResume);
  }

  build(onStop, onPause, onResume) {
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
    this.actLine = element("div", "thaw-act");
    this.noteLine = element("div", "thaw-act thaw-befell");
    const foot = element("div", "thaw-best");
    this.bestText = element("span", "");
    this.stop = element("button", "thaw-stop", "Stop");
    this.stop.type = "button";
    this.stop.setAttribute("aria-label", `Stop ${this.label}`);
    this.stop.onclick = () => {
      this.stop.disabled = true;
      this.stop.textContent = "Stopping…";
      this.stopAskedAt = performance.now();
      onStop(this.id);
    };
    this.pause = element("button", "thaw-stop thaw-resume", "Pause");
    this.pause.type = "button";
    this.pause.setAttribute("aria-label", `Pause ${this.label}`);
    this.pause.title = "Frees the machine after the present step; Resume goes on with the next one.";
    this.pause.onclick = () => {
      // Told before the answer comes: the store says the same within a moment.
      if (this.status === "running") this.status = "pausing";
      this.render();
      onPause(this.id);
    };
    this.resume = element("button", "thaw-stop thaw-resume", "Resume");
    this.resume.type = "button";
    this.resume.setAttribute("aria-label", `Resume ${this.label}`);
    this.resume.title = "Goes on after the last step that it kept, to the same numbers as if it had not ended.";
    this.resume.onclick = () => {
      this.resume.disabled = true;
      this.resume.textContent = "Resuming…";
      onResume(this.id);
    };
    const buttons = element("span", "thaw-buttons");
    buttons.append(this.pause, this.stop, this.resume);
    foot.append(this.bestText, buttons);
    this.root.append(head, this.bar, this.stageBar.root, this.line, this.actLine, this.noteLine, foot);
  }

  // Returns the points that an event adds, as [chart, trace, x, y].
  take(event) {
    const values = event.values;
    if (event.kind === "status") {
      this.status = values.status;
      this.reason = values.reason || "";
      // The time between is no part of how fast it is.
      if (this.status === "queued") this.firstStep = null;
      return [];
    }
    if (event.kind === "progress" && values.task === "features") {
      const took = duration(values.features_seconds);
      this.kept = values.features_found
        ? `frozen stages found in the cache, ${took} saved`
        : `frozen stages computed once in ${took}`;
      return [];
    }
    if (event.kind === "progress" && values.task === "update") return this.update.begin(values);
    const note = event.kind === "progress" && (values.state_note || values.memory_note);
    if (note) {
      this.notes.push(note);
      return [];
    }
    if (event.kind === "progress") {
      this.task = values.task;
      if (!this.epoch) this.fraction = values.total ? values.done / values.total : 0;
      if (values.total) this.task += ` ${values.done} of ${values.total}`;
      if (values.steps_per_epoch) this.stepsPerEpoch = values.steps_per_epoch;
      this.stageBar.take(event);
      return [];
    }
    if (event.kind === "phase" || event.kind === "act") {
      this.stageBar.take(event);
      if (event.kind === "act") this.acts.push(`epoch ${event.epoch}: ${values.sentence}`);
      return [];
    }
    return event.kind === "step" ? this.takeStep(event) : this.takeEpoch(event);
  }

  // Where in the run a step is, as epochs.
  at(step) {
    return step / (this.stepsPerEpoch || 1);
  }

  takeStep(event) {
    const at = this.at(event.step);
    this.numSteps = event.step;
    this.epoch = event.epoch;
    this.task = "";
    this.fraction = at / this.epochs;
    this.speed = event.values.images_per_second;
    this.firstStep ??= { time: event.time, fraction: this.fraction };
    this.lastStep = { time: event.time, fraction: this.fraction };
    const points = [
      ["loss", "train", at, event.values["train/loss"]],
      ["speed", "train", at, event.values.images_per_second],
    ];
    return points.concat(this.ratesOf(event.values, at));
  }

  // A rate that is told no more, as when all of the backbone is frozen, breaks its line.
  ratesOf(values, at) {
    const told = new Set();
    const points = [];
    for (const [name, value] of Object.entries(values)) {
      if (!name.startsWith("lr/")) continue;
      told.add(name.slice(3));
      points.push(["lr", name.slice(3), at, value]);
    }
    for (const name of this.ratesTold) if (!told.has(name)) points.push(["lr", name, at, null]);
    this.ratesTold = told;
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
      ...this.update.takeEpoch(event),
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
    if (this.reason && !ACTIVE.has(this.status)) return this.reason;
    if (this.status === "queued") return "Waiting for its turn; it starts by itself.";
    if (!this.epoch) return this.task ? `${this.task}…` : "Starting…";
    const parts = [`epoch ${this.epoch} of ${this.epochs}`];
    if (this.speed !== null && ACTIVE.has(this.status)) parts.push(`${Math.round(this.speed)} images/s`);
    const left = this.secondsLeft();
    if (left !== null && this.status === "running") parts.push(`${duration(left)} left`);
    if (this.task && ACTIVE.has(this.status)) parts.push(this.task);
    // Why it goes on though it was to pause.
    if (this.reason) parts.push(this.reason);
    return parts.join(" · ");
  }

  render() {
    const active = ACTIVE.has(this.status);
    const done = (100 * (this.status === "finished" ? 1 : this.fraction)).toFixed(1);
    setText(this.statusText, this.status);
    this.statusText.dataset.status = this.status;
    if (this.bar.getAttribute("aria-valuenow") !== done) {
      this.bar.firstChild.style.width = `${done}%`;
      this.bar.setAttribute("aria-valuenow", done);
    }
    setText(this.line, this.describe());
    const best = this.best === null ? [] : [`best ${percent(this.best)} in epoch ${this.bestEpoch}`];
    if (this.kept) best.push(this.kept);
    best.push(...this.update.sentences());
    setText(this.bestText, best.join(" · "));
    setText(this.actLine, this.acts.at(-1) ?? "");
    this.actLine.hidden = !this.acts.length;
    this.actLine.title = this.acts.join("\n");
    setText(this.noteLine, this.notes.at(-1) ?? "");
    this.noteLine.hidden = !this.notes.length;
    this.noteLine.title = this.notes.join("\n");
    this.stageBar.render(this.status);
    this.stop.hidden = !active;
    this.pause.hidden = !active || this.status === "stopping";
    this.pause.disabled = this.status === "pausing";
    setText(this.pause, this.status === "pausing" ? "Pausing…" : "Pause");
    this.resume.hidden = !RESUMABLE.has(this.status);
    if (active) {
      this.resume.disabled = false;
      setText(this.resume, "Resume");
    } else {
      this.stop.disabled = false;
      setText(this.stop, "Stop");
    }
    if (this.status === "stopping") {
      this.stop.disabled = true;
      setText(this.stop, "Stopping…");
    } else if (this.stop.disabled && performance.now() - this.stopAskedAt > ASK_AGAIN_MS) {
      // It was not heard, as when the server went away, or the run has been resumed since.
      this.stop.disabled = false;
      setText(this.stop, "Stop");
    }
  }
}

class Chart {
  constructor(plan, parent, legend) {
    this.plan = plan;
    this.legend = legend;
    this.traces = new Map();
    this.lines = new Map();
    this.series = new Map();
    this.pending = new Map();
    this.numPending = 0;
    this.plans = [];
    this.marks = new Map();
    this.newMarks = new Set();
    this.visible = true;
    this.drawnAt = -Infinity;
    this.handedOverAt = -Infinity;
    this.epochs = 1;
    this.least = Infinity;
    this.most = -Infinity;
    const box = element("figure", "thaw-chart");
    const frame = element("div", "thaw-frame");
    this.div = element("div", "thaw-plot");
    this.div.dataset.chart = plan.key;
    this.div.setAttribute("role", "img");
    this.div.setAttribute("aria-label", `${plan.title} against epochs`);
    this.tail = document.createElementNS(SVG, "svg");
    this.tail.setAttribute("class", "thaw-tail");
    this.tail.setAttribute("aria-hidden", "true");
    frame.append(this.div, this.tail);
    box.append(element("h4", "thaw-title", plan.title), element("p", "thaw-key", plan.hint), frame);
    box.hidden = plan.onlyUpdates === true;
    this.box = box;
    parent.append(box);
    this.div.addEventListener("pointerenter", () => {
      this.hovered = true;
      if (this.numPending) this.handOver(performance.now());
    });
    this.div.addEventListener("pointerleave", () => {
      this.hovered = false;
    });
  }

  // Margins are fixed: measuring the labels anew doubles the cost of a redraw.
  layout(ink) {
    const axis = { color: ink.text, gridcolor: ink.grid, zeroline: false };
    const y = { ...axis, title: { text: this.plan.y, font: { size: 12 } }, range: this.reach() };
    if (this.plan.format) y.tickformat = this.plan.format;
    if (this.plan.log) y.type = "log";
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
      xaxis: { ...axis, title: { text: "epochs", font: { size: 12 } }, range: [0, this.epochs] },
      yaxis: y,
      // Acts are lines from bottom to top, whatever the values are.
      yaxis2: { overlaying: "y", range: [0, 1], fixedrange: true, visible: false },
    };
  }

  async start(ink) {
    const filename = `live-${this.div.dataset.chart}`.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    await plotly().newPlot(this.div, [], this.layout(ink), {
      responsive: true,
      displaylogo: false,
      // Plotly would go back to the axes as they were before the first point.
      doubleClick: false,
      toImageButtonOptions: { format: "png", filename, scale: 2 },
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "resetScale2d"],
      modeBarButtonsToAdd: [
        {
          name: "Download plot as an SVG",
          icon: { width: 24, height: 24, path: "M5 20h14v-2H5v2zM19 9h-4V3H9v6H5l7 7 7-7z" },
          click: (plot) => plotly().downloadImage(plot, { format: "svg", filename }),
        },
        { name: "Reset axes", icon: plotly().Icons.home, click: () => this.zoomOut() },
      ],
    });
    this.div.on("plotly_doubleclick", () => this.zoomOut());
    this.div.on("plotly_relayout", (change) => {
      if (Object.keys(change).some((key) => /^[xy]axis\.range/.test(key))) this.zoomed = true;
      if (Object.keys(change).some((key) => /^[xy]axis\.autorange/.test(key))) this.zoomed = false;
      this.paintTail();
    });
    this.div.on("plotly_afterplot", () => this.paintTail());
  }

  recolour(ink) {
    const { font, xaxis, yaxis } = this.layout(ink);
    return plotly().relayout(this.div, {
      "font.color": font.color,
      "xaxis.color": xaxis.color,
      "xaxis.gridcolor": xaxis.gridcolor,
      "yaxis.color": yaxis.color,
      "yaxis.gridcolor": yaxis.gridcolor,
    });
  }

  zoomOut() {
    this.zoomed = false;
    this.widen();
    return plotly().redraw(this.div);
  }

  add(run, name, x, y) {
    const key = `${run.id}/${name}`;
    if (!this.series.has(key)) {
      this.series.set(key, new Series(this.isOfEpochs(name)));
      this.legend.add(run, name, this.plan.key);
    }
    this.series.get(key).push(x, y);
    if (!this.pending.has(key)) this.pending.set(key, { run, name, x: [], y: [] });
    const points = this.pending.get(key);
    // On a chart that is out of sight they would be many, and they are handed over all together.
    if (points.x.length >= HAND_OVER_POINTS) points.x.length = points.y.length = 0;
    points.x.push(x);
    points.y.push(y);
    points.last = x;
    this.numPending += 1;
    this.unpainted = true;
    if (y === null) return;
    this.least = Math.min(this.least, y);
    this.most = Math.max(this.most, y);
    if (!this.fits(x, y)) this.misfit = true;
  }

  // Shows a chart that is not always needed, or hides it; Plotly did not see its size while hidden.
  show(needed) {
    if (this.plan.onlyUpdates !== true || this.box.hidden !== needed) return;
    this.box.hidden = !needed;
    if (needed) plotly().Plots.resize(this.div);
  }

  isOfEpochs(name) {
    return name === "val" || this.plan.key === "accuracy" || this.plan.key === "update";
  }

  // Keeps the rates that a run is to have, as [name, x, y]; null in y breaks the line.
  addPlan(run, lines) {
    for (const [name, x, y] of lines) {
      if (y.every((value) => value === null)) continue;
      this.plans.push({ name: `planned ${name}`, run, dash: "dot", x, y });
      this.legend.add(run, `planned ${name}`, this.plan.key);
      const known = y.filter((value) => value !== null);
      this.least = Math.min(this.least, ...known);
      this.most = Math.max(this.most, ...known);
    }
    this.end = Math.max(this.end || 1, run.epochs);
    this.epochs = this.end;
  }

  // Draws a dashed line at a value that a run had before its first step.
  addLevel(run, name, y) {
    this.plans.push({ name, run, dash: "dash", x: [0, run.epochs], y: [y, y] });
    this.legend.add(run, name, this.plan.key);
    this.end = Math.max(this.end || 1, run.epochs);
    this.epochs = this.end;
  }

  // Marks when something was changed in a run.
  mark(run, x, sentence) {
    if (!this.marks.has(run)) this.marks.set(run, { x: [], y: [], text: [] });
    const points = this.marks.get(run);
    for (const height of [...MARK_HEIGHTS, null]) {
      points.x.push(x);
      points.y.push(height);
      points.text.push(sentence);
    }
    this.newMarks.add(run);
  }

  get hasNew() {
    return this.plans.length + this.newMarks.size > 0;
  }

  fits(x, y) {
    const axes = this.div._fullLayout;
    if (!axes || this.zoomed) return true;
    const [low, high] = axes.yaxis.range;
    const at = axes.yaxis.type === "log" ? Math.log10(y) : y;
    return x <= axes.xaxis.range[1] && at >= low && at <= high;
  }

  style(run, name) {
    const quiet = (name === "train" && this.plan.key !== "speed") || name === "all";
    const dash = DASHES[this.plan.key]?.[name];
    return {
      name: `${letters(run.label)}, ${name}`,
      mode: this.isOfEpochs(name) ? "lines+markers" : "lines",
      line: { color: run.colour, width: quiet ? 1.2 : 2.4, dash: dash || "solid" },
      marker: { size: quiet ? 3 : 6 },
      opacity: quiet ? 0.65 : 1,
    };
  }

  // Returns in how many ms the pending points are due; Infinity where there are none to draw.
  dueIn(now) {
    if (!(this.numPending || this.hasNew || this.rehide) || !this.visible) return Infinity;
    if (this.rehide) return 0;
    const next = this.unpainted || this.hasNew ? this.drawnAt + DRAW_EVERY_MS : this.handedOverAt + HAND_OVER_MS;
    return Math.max(0, next - now);
  }

  draw(now) {
    this.drawnAt = now;
    this.unpainted = false;
    const fresh = [...this.pending.keys()].some((key) => !this.traces.has(key));
    const many = this.numPending >= HAND_OVER_POINTS;
    const old = now - this.handedOverAt >= HAND_OVER_MS;
    const watched = this.hovered && now - this.handedOverAt >= 1000;
    if (fresh || many || old || watched || this.misfit || this.ending || this.hasNew || this.rehide) return this.handOver(now);
    this.paintTail();
    return null;
  }

  // Gives the pending points to Plotly.
  handOver(now) {
    this.handedOverAt = now;
    this.misfit = false;
    this.ending = false;
    const fresh = this.takePlans();
    let changed = this.rehide;
    for (const [key, { run, name }] of this.pending) {
      const points = this.series.get(key).points();
      if (this.traces.has(key)) {
        Object.assign(this.div.data[this.traces.get(key)], points);
        changed = true;
      } else {
        this.place(key, run, name);
        fresh.push({ ...this.style(run, name), ...points });
      }
    }
    this.widen();
    this.pending.clear();
    this.numPending = 0;
    const work = [];
    fresh.push(...this.takeMarks(work));
    this.hide(fresh);
    if (fresh.length) work.push(plotly().addTraces(this.div, fresh));
    else if (changed) work.push(plotly().redraw(this.div));
    return Promise.all(work);
  }

  // Gives a new line the next place among Plotly's traces.
  place(key, run, name) {
    this.lines.set(this.traces.size, { run, name });
    this.traces.set(key, this.traces.size);
  }

  // Returns what was planned as traces; they come before a run's first point, and lie behind it.
  takePlans() {
    return this.plans.splice(0).map(({ run, name, dash, x, y }) => {
      this.place(`${run.id}/${name}`, run, name);
      return {
        name: `${letters(run.label)}, ${name}`,
        mode: "lines",
        line: { color: run.colour, width: dash === "dot" ? 1.2 : 1.8, dash },
        opacity: 0.75,
        connectgaps: false,
        x,
        y,
      };
    });
  }

  // Returns traces of first acts; those of runs that have one already are changed as `work`.
  takeMarks(work) {
    const fresh = [];
    for (const run of this.newMarks) {
      const { x, y, text } = this.marks.get(run);
      const key = `${run.id}/acts`;
      if (this.traces.has(key)) {
        const change = { x: [x], y: [y], text: [text] };
        work.push(plotly().restyle(this.div, change, [this.traces.get(key)]));
        continue;
      }
      this.place(key, run, "steered");
      fresh.push({
        name: `${letters(run.label)}, steered`,
        mode: "lines",
        line: { color: run.colour, width: 1.6, dash: "dot" },
        yaxis: "y2",
        hoverinfo: "text+name",
        x: [...x],
        y: [...y],
        text: [...text],
      });
    }
    this.newMarks.clear();
    return fresh;
  }

  // The axis of epochs grows by doubling, up to the longest run's end, so that it moves seldom.
  widen() {
    let needed = 0;
    let end = 1;
    for (const { run, last } of this.pending.values()) {
      needed = Math.max(needed, last);
      end = Math.max(end, run.epochs);
    }
    this.end = Math.max(this.end || 1, end);
    while (this.epochs < needed && this.epochs < this.end) {
      this.epochs = Math.min(2 * this.epochs, this.end);
    }
    if (this.zoomed || !this.div.layout) return;
    this.div.layout.xaxis.range = [0, 1.02 * this.epochs];
    this.div.layout.yaxis.range = this.reach();
  }

  // The vertical axis holds all values with some room, so that most new ones fit it unchanged.
  reach() {
    if (this.most === -Infinity) return this.plan.log ? [0, 2] : [0, 1];
    if (this.plan.log) return [Math.log10(this.least / LOG_ROOM), Math.log10(this.most * LOG_ROOM)];
    const high = this.plan.format ? 1.02 : ROOM * this.most;
    return [0, high > 0 ? high : 1];
  }

  // Draws the pending points over the chart, each line from the last point that Plotly has.
  paintTail() {
    this.tail.replaceChildren();
    if (!this.numPending || !this.div._fullLayout) return;
    const { xaxis, yaxis } = this.div._fullLayout;
    Object.assign(this.tail.style, {
      left: `${xaxis._offset}px`,
      top: `${yaxis._offset}px`,
      width: `${xaxis._length}px`,
      height: `${yaxis._length}px`,
    });
    for (const [key, { run, name, x, y }] of this.pending) {
      const trace = this.div.data[this.traces.get(key)];
      if (!trace || this.legend.hides(run, name, this.plan.key)) continue;
      const style = this.style(run, name);
      const last = trace.x.length - 1;
      const xs = [trace.x[last], ...x].map((value) => xaxis.d2p(value));
      const ys = [trace.y[last], ...y].map((value) => (value === null ? null : yaxis.d2p(value)));
      const line = document.createElementNS(SVG, "path");
      line.setAttribute("d", pathThrough(xs, ys));
      line.setAttribute("fill", "none");
      line.setAttribute("stroke", style.line.color);
      line.setAttribute("stroke-width", style.line.width);
      line.setAttribute("opacity", style.opacity);
      const dashes = { dash: "9 7", dot: "3 3" }[style.line.dash];
      if (dashes) line.setAttribute("stroke-dasharray", dashes);
      this.tail.append(line);
      if (style.mode === "lines") continue;
      for (let index = 1; index < xs.length; index += 1) {
        if (ys[index] === null) continue;
        const dot = document.createElementNS(SVG, "circle");
        dot.setAttribute("cx", xs[index]);
        dot.setAttribute("cy", ys[index]);
        dot.setAttribute("r", style.marker.size / 2);
        dot.setAttribute("fill", style.line.color);
        this.tail.append(dot);
      }
    }
  }

  // Tells Plotly's traces whether they are to be seen.
  hide(fresh) {
    this.rehide = false;
    [...this.div.data, ...fresh].forEach((trace, index) => {
      const { run, name } = this.lines.get(index);
      trace.visible = !this.legend.hides(run, name, this.plan.key);
    });
  }

  clear() {
    this.least = Infinity;
    this.most = -Infinity;
    this.traces.clear();
    this.lines.clear();
    this.series.clear();
    this.pending.clear();
    this.numPending = 0;
    this.plans = [];
    this.marks.clear();
    this.newMarks.clear();
    this.tail.replaceChildren();
    if (this.div.data?.length) {
      plotly().deleteTraces(this.div, this.div.data.map((_, index) => index));
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
    this.onPause = () => {};
    this.onResume = () => {};
    this.onAct = () => {};
    // Tells this page from others, and its acts from each other.
    this.page = `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;
    this.numActs = 0;
    this.notice = element("div", "thaw-notice");
    this.notice.hidden = true;
    this.notice.setAttribute("role", "alert");
    this.empty = element("div", "thaw-notice", "Nothing is running. Start on the Train page: the run shows up here by itself.");
    this.empty.hidden = true;
    this.cards = element("div", "thaw-cards");
    const charts = element("div", "thaw-charts");
    this.legend = new Legend(() => this.rehide());
    this.root.append(this.notice, this.empty, this.cards, this.legend.root, charts);
    this.charts = Object.fromEntries(CHARTS.map((plan) => [plan.key, new Chart(plan, charts, this.legend)]));
    this.root.addEventListener("transitionend", (event) => {
      if (event.propertyName === "color" && this.ready) this.recolour();
    });
    this.renderCards();
    this.sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        this.charts[target.dataset.chart].visible = isIntersecting;
      }
      this.plan();
    });
    for (const chart of Object.values(this.charts)) this.sight.observe(chart.div);
    this.onSeen = () => this.seen();
    for (const change of SEEN) document.addEventListener(change, this.onSeen);
    this.seen();
  }

  // Gives the stream back once nobody sees the page, and takes it up when somebody does.
  seen() {
    clearTimeout(this.unseen);
    if (document.visibilityState === "hidden") this.unseen = setTimeout(() => this.rest(), UNSEEN_MS);
    else if (this.resting) this.connect();
  }

  rest() {
    if (!this.source) return;
    this.resting = true;
    this.source.close();
    clearTimeout(this.retry);
  }

  // Shows and hides lines as the legend says.
  rehide() {
    for (const chart of Object.values(this.charts)) chart.rehide = true;
    this.plan();
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
    for (const chart of Object.values(this.charts)) {
      chart.clear();
      chart.show(false);
    }
    this.cards.replaceChildren();
    this.legend.clear();
    this.runs.clear();
    this.undrawn = [];
  }

  connect() {
    this.source?.close();
    this.resting = false;
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
    this.seen();
  }

  // A run has ended: what is left of it goes to Plotly now.
  finish() {
    for (const chart of Object.values(this.charts)) {
      chart.ending = chart.numPending > 0;
      chart.unpainted = chart.ending;
    }
  }

  say(text) {
    this.notice.textContent = text;
    this.notice.hidden = !text;
  }

  receive({ runs = [], events = [] }) {
    for (const card of runs) {
      if (this.runs.has(card.id)) continue;
      const run = new RunView(
        card,
        (id) => this.onStop(id),
        (id) => this.onPause(id),
        (id) => this.onResume(id),
        (act) => this.ask(run, act),
      );
      this.runs.set(card.id, run);
      if (card.updates) this.charts.update.show(true);
      // Before it is seen, else its buttons would move from under the pointer a moment later.
      run.render();
      this.cards.append(run.root);
      this.empty.hidden = true;
    }
    for (const event of events) {
      const run = this.runs.get(event.run_id);
      if (!run || event.seq <= run.seq) continue;
      run.seq = event.seq;
      if (event.values.task === "resumed" && run.numSteps > event.step) {
        // Some steps are done again: what was drawn of them is not in the store any more.
        this.leaveOut(new Set());
        this.connect();
        return;
      }
      for (const [chart, name, x, y] of run.take(event)) this.charts[chart].add(run, name, x, y);
      const level = run.update.takeLevel();
      if (level !== null) this.charts.update.addLevel(run, "before", level);
      if (event.kind === "act") this.markAct(run, event);
      if (event.values.planned_rates) this.addPlan(run, JSON.parse(event.values.planned_rates));
      if (event.kind === "status" && !ACTIVE.has(run.status)) this.finish();
      this.undrawn.push({ run: event.run_id, seq: event.seq, kind: event.kind, time: event.time });
    }
    this.catchingUp = events.length >= MANY_EVENTS;
    this.undrawn.splice(0, this.undrawn.length - DRAWN_KEPT);
    this.stale = true;
    this.plan();
  }

  markAct(run, { epoch, step, values }) {
    const sentence = `epoch ${epoch}: ${values.sentence}`;
    for (const chart of Object.values(this.charts)) chart.mark(run, run.at(step), sentence);
  }

  addPlan(run, { epochs, head, backbone }) {
    this.charts.lr.addPlan(run, [
      ["head", epochs, head],
      ["backbone", epochs, backbone],
    ]);
  }

  // Sends all that was asked and has not come true yet: a page that is asked twice in one breath
  // may hear the second time only, and it knows by the numbers what it has heard before.
  ask(run, act) {
    this.numActs += 1;
    run.stageBar.asked.push({ number: this.numActs, ...act });
    const asked = [...this.runs.values()].flatMap(({ id, stageBar }) =>
      stageBar.asked.map(({ number, ...one }) => ({ number, run: id, act: one })),
    );
    this.onAct({ page: this.page, asked: asked.sort((one, other) => one.number - other.number) });
    run.render();
  }

  // Sees to it that the next frame after the first due chart draws all that are due.
  plan() {
    if (this.closed || !this.ready) return;
    const now = performance.now();
    const due = Math.min(...Object.values(this.charts).map((chart) => chart.dueIn(now)));
    const cards = this.stale ? Math.max(0, this.cardsAt + DRAW_EVERY_MS - now) : Infinity;
    const soonest = this.catchingUp ? this.cardsAt + DRAW_HISTORY_EVERY_MS - now : 0;
    const wait = Math.max(soonest, Math.min(due, cards));
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

  // The time left counts down by itself, without a frame of its own where events come anyway.
  renderCards() {
    for (const run of this.runs.values()) run.render();
    clearTimeout(this.clock);
    this.clock = setTimeout(() => this.renderCards(), CLOCK_MS);
  }

  close() {
    this.closed = true;
    this.source?.close();
    clearTimeout(this.retry);
    clearTimeout(this.clock);
    clearTimeout(this.timer);
    clearTimeout(this.unseen);
    for (const change of SEEN) document.removeEventListener(change, this.onSeen);
    this.sight.disconnect();
    for (const chart of Object.values(this.charts)) plotly()?.purge(chart.div);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  let live = instances.get(parentElement);
  if (!live) {
    live = new Live(parentElement);
    instances.set(parentElement, live);
  }
  live.onStop = (id) => setTriggerValue("stop", id);
  live.onPause = (id) => setTriggerValue("pause", id);
  live.onResume = (id) => setTriggerValue("resume", id);
  live.onAct = (asked) => setTriggerValue("act", asked);
  live.show(data);
  return () => {
    live.close();
    instances.delete(parentElement);
  };
}
