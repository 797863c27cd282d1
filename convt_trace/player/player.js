// The player: takes scenes, keeps their windows, and wires its rooms together: the transport goes from
// step to step, the picture draws, looking tells of one cell, predict hides and asks. It asks the
// server for nothing but further windows of a long trace.

import { choice, loadStyle, make } from "./elements.js";
import { keyHints, press } from "./keys.js";
import { Looking } from "./looking.js";
import { Picture } from "./picture.js";
import { Predict } from "./predict.js";
import { Filling } from "./filling.js";
import { decode, holds } from "./scene.js";
import { Transport } from "./transport.js";
import { Views } from "./views.js";

const FETCH_AHEAD = 0.6; // of a window; the next one is asked for beyond it
/** What may be hidden. */
const HIDES = { no: "off", all: "all of it", on: "from here on" };

const players = new WeakMap();

/** Mount a player on a Streamlit component, or give a mounted one its new data. */
export function mount({ data, parentElement, setTriggerValue }, options) {
  let player = players.get(parentElement);
  if (!player) {
    player = new Player(parentElement, options);
    players.set(parentElement, player);
  }
  player.report = setTriggerValue;
  player.receive(data);
  return () => player.leaveIfGone();
}

/** One player on the page. */
export class Player {
  constructor(parent, options) {
    this.options = options;
    /** Tells the page something; each message brings the way to do so. */
    this.report = (_name, _value) => {};
    this.scenes = new Map();
    /** @type {import("./scene.js").Scene} */
    this.scene = null;
    this.key = null;
    this.opened = null;
    this.asked = null;
    this.predict = new Predict(make, {
      changed: () => this.#redraw(),
      aimed: () => this.picture.isLaid && this.looking.light(),
      ended: () => this.#hide(null),
    });
    this.transport = new Transport(
      this,
      {
        bring: (step) => this.#bring(step),
        stand: () => this.#stand(),
        respan: () => this.#respan(),
        playing: (on) => this.#playing(on),
      },
      options,
    );
    this.looking = new Looking(this, (cell) => options.cells && this.report("cell", cell));
    this.picture = new Picture(this, () => {
      this.views.lay();
      this.looking.light();
    });
    this.views = new Views(this, () => this.#askViews());
    this.#build(parent);
    this.styled = loadStyle(parent, options.style);
    this.onKey = (event) => this.#key(event);
    // A notebook has keys of its own, and perhaps several players.
    this.hears = options.keysInside ? this.root : document;
    this.hears.addEventListener("keydown", this.onKey);
  }

  leaveIfGone() {
    setTimeout(() => {
      if (this.root.isConnected) return;
      this.transport.stop();
      this.hears.removeEventListener("keydown", this.onKey);
      this.picture.sized.disconnect();
    });
  }

  #build(parent) {
    const { transport, picture, looking, views } = this;
    this.hideList = choice("Hide the output, to predict it", Object.entries(HIDES), (what) =>
      this.#hideBy(what),
    );
    this.shareButton = make(
      "button",
      { type: "button", class: "ct-share", hidden: true, onclick: () => this.#share() },
      "Share",
    );
    this.sentence = make("p", { class: "ct-sentence", role: "status" });
    this.note = make("p", { class: "ct-note" });
    this.verdict = make("p", { class: "ct-verdict" });
    this.root = make(
      "section",
      { class: "ct-player", "aria-label": "Step-by-step player", hidden: true },
      make(
        "div",
        // A screen reader passes the keys on from here; elsewhere it may keep them for itself.
        { class: "ct-bar", role: "application", "aria-label": "Step by step" },
        transport.buttons,
        transport.scrubber,
        transport.readout,
        this.shareButton,
      ),
      make(
        "div",
        { class: "ct-options" },
        make("label", {}, "One step is a ", transport.units),
        make("label", {}, "Speed ", transport.speeds),
        picture.cropBox,
        transport.skipBox,
        // A page that answers for cells has said what would be predicted.
        make("label", { hidden: Boolean(this.options.cells) }, "Predict ", this.hideList),
        keyHints(),
      ),
      this.sentence,
      this.predict.element,
      picture.stage,
      this.verdict,
      views.element,
      looking.detail,
      picture.legend,
      picture.hint,
      picture.said,
      this.note,
      picture.pattern(),
    );
    parent.append(this.root);
  }

  get step() {
    return this.transport.step;
  }

  get level() {
    return this.transport.level;
  }

  // -- scenes ---------------------------------------------------------------------------------

  /** Take one message: a new case, or a further window of the one on screen. */
  async receive(message) {
    const scene = decode(message);
    await this.styled;
    this.root.hidden = false;
    this.#look(scene.opening);
    const opening = scene.opening && scene.opening.key !== this.opened ? scene.opening : null;
    if (opening) this.opened = opening.key;
    const key = JSON.stringify([
      scene.case,
      scene.order,
      scene.total,
      scene.tensors.map((panel) => panel.channels),
    ]);
    if (key === this.key) this.#takeWindow(scene, opening);
    else {
      this.key = key;
      this.#takeCase(scene, opening);
    }
  }

  #takeWindow(scene, opening) {
    const { awaited } = this.transport;
    const held = this.scenes.get(scene.start);
    if (held) this.views.take(held, scene.views);
    else this.scenes.set(scene.start, scene);
    if (opening) this.#open(opening);
    else if (awaited !== null && holds(scene, awaited)) this.transport.seek(awaited);
    this.#redraw();
  }

  #takeCase(scene, opening) {
    const step = this.#stepIn(scene);
    this.asked = null;
    this.scenes = new Map([[scene.start, scene]]);
    this.transport.awaited = null;
    // What is hidden is hidden before anything is drawn.
    const hide = opening ? opening.hide : this.predict.from === 0 ? 0 : null;
    const shown = this.predict.on && hide === null;
    this.picture.isLaid = false;
    if (opening) this.views.wanted = opening.views;
    this.#startHiding(scene, hide, null);
    this.#show(scene);
    this.transport.frame();
    if (opening) this.#open(opening);
    else this.transport.seek(step);
    if (!opening && shown) this.report("hide", { from: null });
  }

  /** Where to stand in a new scene: at the same MAC, if it still has one. */
  #stepIn(scene) {
    const { scene: old, step } = this;
    if (!old) return 0;
    if (old.order !== scene.order && step > 0 && step < old.total && step > old.start) {
      return scene.stepOf(old.identity(old.rowOf(step))) ?? 0;
    }
    const same = old.total === scene.total && String(old.sizes) === String(scene.sizes);
    if (!same) this.transport.stop();
    return same ? step : 0;
  }

  /** Put a scene on the page. */
  #show(scene) {
    this.scene = scene;
    this.filling = new Filling(scene);
    this.looking.forget();
    this.views.forget();
    this.picture.isLaid = false;
    if (this.predict.on) this.predict.show(scene);
    this.picture.show(this.looking);
    this.views.show();
    if (this.views.waiting.length) this.#askViews();
    this.#sayVerdict();
  }

  /** Put the window that shows a step on the page; where it is not here, ask for it and return false. */
  #bring(step) {
    if (holds(this.scene, step)) return true;
    const there = [...this.scenes.values()].find((scene) => holds(scene, step));
    if (there) this.#show(there);
    else {
      this.note.textContent = `Loading MAC ${step.toLocaleString("en")} …`;
      this.#ask(Math.max(step - 1, 0));
    }
    return Boolean(there);
  }

  #fetchAhead() {
    const { scene, step } = this;
    const near = step - scene.start > FETCH_AHEAD * (scene.stop - scene.start);
    if (
      !near ||
      scene.stop >= scene.total ||
      this.scenes.has(scene.stop) ||
      this.asked === scene.stop
    )
      return;
    this.asked = scene.stop;
    this.#ask(scene.stop);
  }

  /** Tell the page which views are open, so that it sends them for this window. */
  #askViews() {
    this.report("views", { open: this.views.wanted, mac: this.scene.start });
  }

  /** Ask the page for the window with this MAC. */
  #ask(mac) {
    this.report("window", mac);
  }

  // -- standing -------------------------------------------------------------------------------

  /** Draw and say the step that the transport is at. */
  #stand() {
    this.picture.drawStep(this.filling.go(this.step));
    this.views.stand();
    this.#say();
    this.#fetchAhead();
    this.tell();
  }

  #playing(on) {
    // A screen reader is told each step when stepping; while playing it would never end.
    this.sentence.setAttribute("aria-live", on ? "off" : "polite");
    if (this.scene) this.#say();
  }

  #respan() {
    this.picture.outlineStep();
    this.views.stand();
    this.#say();
    this.tell();
  }

  #redraw() {
    if (!this.scene) return;
    this.picture.recolour();
    this.views.recolour();
    this.views.stand();
    this.#sayVerdict();
  }

  #say() {
    const { scene, step } = this;
    this.sentence.textContent = scene.sentence(step, this.level, (cell) =>
      this.predict.covers(cell, step),
    );
    this.sentence.classList.toggle("ct-dropped", step > 0 && !scene.kept(scene.rowOf(step)));
    this.#sayWindow();
  }

  #sayWindow() {
    const { scene } = this;
    const count = (number) => number.toLocaleString("en");
    const parts = [];
    if (scene.macs.hidden > 0) {
      parts.push(
        `Playing ${count(scene.total)} of the layer's ${count(scene.macs.all)} MACs: those of the channels shown. Sums include all of them.`,
      );
    }
    if (scene.stop - scene.start < scene.total) {
      parts.push(`Loaded: MACs ${count(scene.start + 1)} to ${count(scene.stop)}.`);
    }
    if (scene.rounds) parts.push("Some numbers are rounded for reading.");
    this.note.textContent = parts.join(" ");
  }

  #sayVerdict() {
    const { verdict } = this.scene;
    const hidden = this.predict.hidesAny;
    this.verdict.textContent = hidden
      ? "torch's output is hidden too, until it is predicted."
      : verdict.text;
    this.verdict.dataset.kind = hidden ? "hidden" : verdict.kind;
  }

  // -- opening and sharing --------------------------------------------------------------------

  /** Show what belongs to the page: its Share button, and large type for a presenter. */
  #look({ look = "full", share = false } = {}) {
    this.shareButton.hidden = !share;
    this.root.classList.toggle("ct-large", look === "presenter");
  }

  /** Stand where a link says: step, unit, selected cell, and what is hidden. */
  #open({ step, unit, cell, hide, views }) {
    const { transport, looking } = this;
    transport.stop();
    this.views.wanted = views ?? [];
    this.views.show();
    transport.takeUnit(unit);
    const selected = cell ? this.scene.find(cell) : null;
    this.#startHiding(this.scene, hide, selected);
    this.#redraw();
    transport.seek(step);
    looking.pinned = selected;
    looking.light();
  }

  /** Where the player stands. */
  get moment() {
    const { pinned } = this.looking;
    return {
      step: this.step,
      unit: this.transport.unit,
      cell: pinned ? this.scene.textOf(pinned) : "",
      hide: this.predict.from,
      views: this.views.open,
    };
  }

  /** Stand where a program says; what it leaves out stays as it is. */
  go({ step = this.step, unit = this.transport.unit, cell = this.moment.cell }) {
    const { transport, looking, moment } = this;
    if (unit !== moment.unit) transport.setUnit(unit);
    if (step !== moment.step) {
      transport.stop();
      transport.seek(step);
    }
    if (cell !== moment.cell) {
      looking.pinned = cell ? this.scene.find(cell) : null;
      looking.light();
    }
  }

  /** Tell a program that follows it where the player stands. */
  tell() {
    this.options.told?.(this.moment);
  }

  /** Tell the page what is on screen; only when somebody asks for it. */
  #share() {
    this.report("share", this.moment);
  }

  // -- hiding ---------------------------------------------------------------------------------

  #hideBy(what) {
    this.#hide({ no: null, all: 0, on: Math.max(this.step, 1) }[what]);
    if (what !== "no") this.predict.input.focus();
  }

  /** Hide the output from a step on; the page is told, for it may show numbers of its own. */
  #hide(from) {
    if (from === this.predict.from) return;
    this.#startHiding(this.scene, from, this.looking.pinned);
    this.report("hide", { from });
    this.#redraw();
    this.#say();
    this.looking.light();
  }

  #startHiding(scene, from, selected) {
    this.predict.start(scene, from, this.looking.outputCellOf(selected));
    this.hideList.value = from === null ? "no" : from === 0 ? "all" : "on";
    this.hideList.options[2].textContent = from ? `from ${from.toLocaleString("en")} on` : HIDES.on;
  }

  // -- keys -----------------------------------------------------------------------------------

  #key(event) {
    const { transport, looking, predict } = this;
    if (!this.scene) return;
    press(event, this.root, {
      " ": () => transport.toggle(),
      ArrowRight: () => transport.forward(),
      ArrowLeft: () => transport.back(),
      Home: () => transport.seek(0),
      End: () => transport.seek(this.scene.total),
      Escape: () => looking.pin(null),
      u: () => transport.nextUnit(),
      v: () => this.views.next(),
      h: !this.options.cells && (() => this.#hideBy(predict.on ? "no" : this.step ? "on" : "all")),
    });
  }
}
