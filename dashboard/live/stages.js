// The stage bar of a run: what learns, how fast, and the menu by which a person changes it.
//
// A segment a stage, stem first, then the head: icy where it is frozen, the warmer the higher its
// learning rate where it learns.

// Rates between which the colour goes from barely warm to as warm as it gets, on a log scale.
const COOLEST_RATE = 1e-6;
const WARMEST_RATE = 1e-2;
const FACTORS = [
  [0.1, "×0.1"],
  [0.5, "×½"],
  [2, "×2"],
  [10, "×10"],
];
const HEAD = "head";
const BACKBONE = "backbone";

function shortRate(rate) {
  return rate.toExponential(1).replace(".0e", "e");
}

function warmth(rate) {
  const share = Math.log(rate / COOLEST_RATE) / Math.log(WARMEST_RATE / COOLEST_RATE);
  return Math.min(1, Math.max(0, share));
}

class StageBar {
  // `stages` are [name, label, parameters]; the head has `head[0]` and `head[1]` a class.
  constructor({ label, stages, head }, onAct) {
    this.onAct = onAct;
    this.headSize = head;
    this.rates = null;
    this.asked = [];
    this.segments = new Map();
    this.root = element("div", "thaw-stages");
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", `What learns in ${label}, stem first`);
    for (const [name, stageLabel, size] of stages) this.addSegment(name, stageLabel, size);
    this.addSegment(HEAD, "Head", null);
    this.root.addEventListener("focusout", ({ relatedTarget }) => {
      if (this.menu && !this.menu.contains(relatedTarget)) this.closeMenu();
    });
    this.root.addEventListener("keydown", (event) => this.onKey(event));
  }

  addSegment(name, label, size) {
    const button = element("button", "thaw-stage");
    button.type = "button";
    button.disabled = true;
    button.dataset.stage = name;
    const state = element("span", "thaw-stage-state");
    button.append(element("span", "thaw-stage-name", label), state);
    button.onclick = () => (this.opened === name ? this.closeMenu() : this.openMenu(name));
    this.segments.set(name, { name, label, size, button, state });
    this.root.append(button);
  }

  take({ kind, values }) {
    if (kind === "act") {
      const done = this.asked.findIndex(
        (one) => one.kind === values.act && one.target === values.target && one.factor === values.factor,
      );
      if (done >= 0) this.asked.splice(done, 1);
    } else if (kind === "phase") {
      this.rates = { [HEAD]: values.head };
      for (const [key, rate] of Object.entries(values)) {
        if (key.startsWith("stage/")) this.rates[key.slice(6)] = rate;
      }
    } else if (values.classes) {
      const [fixed, each] = this.headSize;
      this.segments.get(HEAD).size = fixed + each * values.classes;
    }
  }

  render(status) {
    this.steerable = status === "running";
    if (!this.steerable) {
      this.asked = [];
      this.closeMenu();
    }
    for (const segment of this.segments.values()) this.renderSegment(segment);
  }

  learns(name) {
    return this.rates !== null && this.rates[name] > 0;
  }

  isAsked(name) {
    const concerns = ({ target }) => target === name || (target === BACKBONE && name !== HEAD && this.learns(name));
    return this.asked.some(concerns);
  }

  renderSegment({ name, label, size, button, state }) {
    const rate = this.rates?.[name];
    const asked = this.isAsked(name);
    const shown = `${rate} ${size} ${asked} ${this.steerable}`;
    if (button.dataset.shown === shown) return;
    button.dataset.shown = shown;
    const kind = rate === undefined ? "unknown" : rate > 0 ? "learning" : "frozen";
    button.dataset.state = kind;
    button.dataset.asked = asked;
    if (kind === "learning") button.style.setProperty("--thaw-warmth", warmth(rate).toFixed(3));
    const inWords = {
      unknown: "not started",
      frozen: "frozen",
      learning: `learning rate ${shortRate(rate || 1)}, before its schedule`,
    }[kind];
    const parts = [label, inWords];
    if (size) parts.splice(1, 0, `${size.toLocaleString("en")} parameters`);
    if (asked) parts.push("a change is asked for");
    setText(state, asked ? "asked…" : { unknown: "", frozen: "frozen", learning: shortRate(rate || 1) }[kind]);
    button.title = parts.join("\n");
    button.setAttribute("aria-label", parts.join(", "));
    button.disabled = !this.steerable;
    if (!this.steerable) {
      button.removeAttribute("aria-haspopup");
      button.removeAttribute("aria-expanded");
    } else if (!button.hasAttribute("aria-haspopup")) {
      button.setAttribute("aria-haspopup", "menu");
      button.setAttribute("aria-expanded", "false");
    }
  }

  ask(kind, target, factor = 1) {
    this.closeMenu(true);
    this.onAct({ kind, target, factor });
  }

  openMenu(name) {
    this.closeMenu();
    const { label, button } = this.segments.get(name);
    this.opened = name;
    this.menu = element("div", "thaw-menu");
    this.menu.setAttribute("role", "menu");
    this.menu.setAttribute("aria-label", `Steer ${label}`);
    this.menu.tabIndex = -1;
    if (name !== HEAD) this.addSwitch(name, label);
    if (name === HEAD || this.learns(name)) this.addRates(name, label);
    if (name !== HEAD && this.learnsAtAll()) this.addRates(BACKBONE, "whole backbone");
    button.setAttribute("aria-expanded", "true");
    this.root.append(this.menu);
    const left = Math.min(button.offsetLeft, this.root.clientWidth - this.menu.offsetWidth);
    this.menu.style.left = `${Math.max(0, left)}px`;
    this.menu.style.top = `${button.offsetTop + button.offsetHeight + 4}px`;
    this.items()[0].focus({ preventScroll: true });
    this.menu.scrollIntoView({ block: "nearest" });
  }

  learnsAtAll() {
    return [...this.segments.keys()].some((name) => name !== HEAD && this.learns(name));
  }

  // Before the first epoch it is not known which stages will learn, so either can be asked for.
  addSwitch(name, label) {
    const switches = [];
    if (this.rates === null || this.learns(name)) switches.push(["freeze", "Freeze"]);
    if (!this.learns(name)) switches.push(["unfreeze", "Let learn"]);
    for (const [kind, text] of switches) {
      const item = this.item(text, `${text}: ${label}`);
      item.onclick = () => this.ask(kind, name);
      this.menu.append(item);
    }
  }

  addRates(target, label) {
    const group = element("div", "thaw-menu-rates");
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", `Learning rate of ${label}`);
    const heading = element("span", "thaw-menu-title", `Learning rate: ${label}`);
    heading.setAttribute("aria-hidden", "true");
    group.append(heading);
    for (const [factor, text] of FACTORS) {
      const item = this.item(text, `Learning rate of ${label} times ${factor}`);
      item.onclick = () => this.ask("lr", target, factor);
      group.append(item);
    }
    this.menu.append(group);
  }

  item(text, label) {
    const made = element("button", "thaw-menu-item", text);
    made.type = "button";
    made.tabIndex = -1;
    made.setAttribute("role", "menuitem");
    made.setAttribute("aria-label", label);
    return made;
  }

  items() {
    return [...this.menu.querySelectorAll("[role=menuitem]")];
  }

  onKey(event) {
    if (!this.menu) return;
    const items = this.items();
    const at = items.indexOf(document.activeElement);
    const last = items.length - 1;
    const next = {
      ArrowDown: at < last ? at + 1 : 0,
      ArrowRight: at < last ? at + 1 : 0,
      ArrowUp: at > 0 ? at - 1 : last,
      ArrowLeft: at > 0 ? at - 1 : last,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Escape" || event.key === "Tab") this.closeMenu(true);
    else if (next !== undefined) items[next].focus();
    if (event.key === "Escape" || next !== undefined) event.preventDefault();
  }

  closeMenu(refocus = false) {
    if (!this.menu) return;
    const { button } = this.segments.get(this.opened);
    const menu = this.menu;
    // Taking it away moves the focus, which asks again whether to close it.
    this.menu = null;
    this.opened = null;
    menu.remove();
    if (button.hasAttribute("aria-expanded")) button.setAttribute("aria-expanded", "false");
    if (refocus) button.focus({ preventScroll: true });
  }
}
