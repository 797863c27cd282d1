// The player in a notebook: step, order, unit and cell are the widget's traits, which Python sets and
// hears. Windows that it does not hold come from the kernel; without one they are stepped over.
// Loaded by convt_trace/player/widget.py.

import { choice, make } from "./elements.js";
import { placeOf, reach, unpack } from "./held.js";
import { Player } from "./player.js";

/** Milliseconds between two messages to the kernel while the player plays. */
const TELL_MS = 100;

/** A copy of a buffer's bytes: the numbers of a message lie at multiples of 8. */
const bytesOf = ({ buffer, byteOffset, byteLength }) =>
  new Uint8Array(buffer, byteOffset, byteLength).slice();

/** Show a widget's model in an element; return what takes it away again. */
export function render({ model, el }) {
  const widget = new Widget(model, el);
  return () => widget.leave();
}

class Widget {
  constructor(model, el) {
    this.model = model;
    this.isLive = false;
    this.isReady = false;
    this.telling = null;
    el.classList.add("ct-widget");
    // JupyterLab asks the element that has the focus whether its own keys are meant.
    el.addEventListener("focusin", ({ target }) => (target.dataset.lmSuppressShortcuts = "true"));
    this.orders = choice(
      "Order of the MACs",
      model.get("_orders").map((name) => [name, name]),
      (order) => this.#set({ order }),
    );
    this.orderLabel = make("label", { hidden: true }, "Order ", this.orders);
    this.player = new Player(el, {
      keysInside: true,
      reach: (target, from) => (this.isLive ? target : reach(this.windows, target, from)),
      told: (moment) => this.#tell(moment),
    });
    this.player.root.querySelector(".ct-options").prepend(this.orderLabel);
    this.player.root.tabIndex = -1; // a click beside its buttons gives it the keys
    this.player.report = (name, value) => this.#ask(name, value);
    this.#listen();
    this.#open();
    model.send({ ask: "hello" });
  }

  get windows() {
    return this.model.get("_held");
  }

  #listen() {
    const { model, player } = this;
    const traits = { step: "step", unit: "unit", _cell: "cell" };
    /** @type {[string, (...told: any[]) => unknown][]} */
    this.heard = Object.entries(traits).map(([trait, name]) => [
      `change:${trait}`,
      () => this.isReady && player.go({ [name]: model.get(trait) }),
    ]);
    this.heard.push(
      ["change:_held", () => this.#open()],
      ["change:order", () => (this.orders.value = model.get("order"))],
      ["msg:custom", (message, buffers) => this.#take(message, buffers)],
    );
    for (const [event, hear] of this.heard) model.on(event, hear);
    // The notebook's theme may change while it is open.
    this.theme = new MutationObserver(() => this.data && player.receive(this.data));
    for (const element of [document.documentElement, document.body]) {
      this.theme.observe(element, {
        attributeFilter: ["class", "theme", "data-theme", "data-jp-theme-name"],
      });
    }
  }

  leave() {
    for (const [event, hear] of this.heard) this.model.off(event, hear);
    this.theme.disconnect();
    this.player.leaveIfGone();
  }

  /** Show the window that holds the step, and stand there. */
  async #open() {
    const { model, windows } = this;
    this.isReady = false;
    const at = Math.max(placeOf(windows, Math.max(model.get("step") - 1, 0)), 0);
    this.orders.value = model.get("order");
    await this.#receive(await unpack(bytesOf(windows[at].data)));
    // Python may have set them meanwhile.
    const [step, unit, cell] = ["step", "unit", "_cell"].map((trait) => model.get(trait));
    this.player.go({ step, unit, cell });
    this.isReady = true;
    this.#tell(this.player.moment);
  }

  async #receive(data) {
    this.data = data;
    await this.player.receive(data);
  }

  // -- to the kernel --------------------------------------------------------------------------

  #ask(name, value) {
    if (name === "window") this.#askWindow(value);
    else if (name === "views") {
      this.model.send({ ask: "views", open: value.open, mac: value.mac });
      if (!this.isLive) this.#askWindow(value.mac);
    }
  }

  async #askWindow(mac) {
    const at = placeOf(this.windows, mac);
    if (at >= 0) await this.#receive(await unpack(bytesOf(this.windows[at].data)));
    else this.model.send({ ask: "window", mac });
  }

  /** Set the traits to where the player stands; while it plays, a few times a second. */
  #tell({ step, unit, cell }) {
    if (!this.isReady) return;
    this.told = { step, unit, _cell: cell };
    this.telling ??= setTimeout(() => {
      this.telling = null;
      this.#set(this.told);
    }, TELL_MS);
  }

  #set(traits) {
    for (const [name, value] of Object.entries(traits)) this.model.set(name, value);
    this.model.save_changes();
  }

  // -- from the kernel ------------------------------------------------------------------------

  #take({ kind }, buffers) {
    if (kind === "scene") this.#receive(bytesOf(buffers[0]));
    if (kind !== "hello") return;
    this.isLive = true;
    this.orderLabel.hidden = false;
  }
}
