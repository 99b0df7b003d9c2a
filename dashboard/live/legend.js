// The legend of all live charts: what is clicked is hidden on each of them until it is clicked
// again, whatever comes meanwhile.

const KINDS = {
  val: "validation",
  train: "training",
  head: "head",
  backbone: "backbone",
  old: "old images",
  new: "new images",
  all: "all images",
  before: "before the update",
  "planned head": "planned",
  "planned backbone": "planned",
};
// They are offered in this order, whichever comes first.
const ORDER = [...new Set(Object.values(KINDS))];

class Legend {
  constructor(onChange) {
    this.onChange = onChange;
    this.hidden = new Set();
    this.buttons = new Map();
    this.root = element("div", "thaw-legend");
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", "Lines on the charts");
    this.root.hidden = true;
    this.runs = element("span", "thaw-legend-part");
    this.kinds = element("span", "thaw-legend-part");
    this.root.append(this.kinds, this.runs);
  }

  // Takes a run and a kind of line up. Throughput is of one kind, which cannot be hidden.
  add(run, name, chart) {
    this.offer(`run ${run.id}`, run.label, this.runs, run.colour);
    const kind = KINDS[name];
    if (kind && chart !== "speed") this.offer(`kind ${kind}`, kind, this.kinds);
    this.runs.hidden = this.runs.childElementCount < 2;
    this.root.hidden = false;
  }

  offer(key, label, parent, colour) {
    if (this.buttons.has(key)) return;
    const button = element("button", "thaw-legend-item", label);
    button.type = "button";
    button.title = label;
    button.dataset.line = key;
    if (colour) button.style.setProperty("--thaw-run", colour);
    button.setAttribute("aria-pressed", !this.hidden.has(key));
    button.onclick = () => {
      if (!this.hidden.delete(key)) this.hidden.add(key);
      button.setAttribute("aria-pressed", !this.hidden.has(key));
      this.onChange();
    };
    this.buttons.set(key, button);
    const later = [...parent.children].find((other) => ORDER.indexOf(other.title) > ORDER.indexOf(label));
    parent.insertBefore(button, (!colour && later) || null);
  }

  hides(run, name, chart) {
    const kind = chart === "speed" ? undefined : KINDS[name];
    return this.hidden.has(`run ${run.id}`) || (kind !== undefined && this.hidden.has(`kind ${kind}`));
  }

  // Takes all away that can be clicked; what was hidden stays so when it comes back.
  clear() {
    this.buttons.clear();
    this.runs.replaceChildren();
    this.kinds.replaceChildren();
    this.root.hidden = true;
  }
}
