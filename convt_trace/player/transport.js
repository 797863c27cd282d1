// Going from step to step: the buttons, the scrubber, the unit and the speed, and the clock that plays.

import { checkbox, choice, icon, make } from "./elements.js";
import { KEYS, SHORTCUTS } from "./keys.js";

const SPEEDS = [1, 2, 4, 8, 15, 30, 60];

export class Transport {
  /**
   * `player` has the scene; `bring(step)` puts the window that shows a step on the page, or asks for
   * it and is false; `stand()` draws the step that the transport is at, `respan()` its new unit;
   * `playing(on)` hears when playing starts and ends.
   * @param {import("./player.js").Player} player
   */
  constructor(player, { bring, stand, respan, playing }, options) {
    this.player = player;
    this.does = { bring, stand, respan, playing };
    this.reach = options.reach ?? ((target) => target); // a page without a server may not hold all steps
    this.step = 0;
    this.unit = "MAC";
    this.speed = options.speed ?? 4;
    this.isPlaying = false;
    this.skipCropped = false;
    this.awaited = null;
    this.#build();
  }

  #build() {
    const button = (name, run) =>
      make(
        "button",
        {
          type: "button",
          "aria-label": name,
          "aria-keyshortcuts": SHORTCUTS[name],
          title: `${name} (${KEYS[name]})`,
          onclick: run,
        },
        icon(name),
      );
    this.playButton = button("Play", () => this.toggle());
    this.buttons = make(
      "div",
      { class: "ct-buttons" },
      button("First step", () => this.seek(0)),
      button("Step back", () => this.back()),
      this.playButton,
      button("Step forward", () => this.forward()),
      button("Last step", () => this.seek(this.scene.total)),
    );
    this.slider = make("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step" });
    this.slider.oninput = () => this.seek(Number(this.slider.value));
    this.marks = make("div", { class: "ct-marks", "aria-hidden": "true" });
    this.scrubber = make("div", { class: "ct-scrub" }, this.marks, this.slider);
    this.readout = make("span", { class: "ct-readout" });
    this.units = choice("Unit of a step", [], (unit) => this.setUnit(unit));
    const speeds = SPEEDS.map((speed) => [speed, `${speed} step${speed > 1 ? "s" : ""}/s`]);
    this.speeds = choice("Speed", speeds, (speed) => (this.speed = Number(speed)));
    this.speeds.value = this.speed;
    this.skipBox = checkbox("Skip cropped", false, (on) => (this.skipCropped = on));
  }

  get scene() {
    return this.player.scene;
  }

  /** The unit, as a place in the scene's units. */
  get level() {
    return this.scene.units.indexOf(this.unit);
  }

  /** Set the controls to a new case: range, marks, units. */
  frame() {
    const { scene } = this;
    this.slider.max = scene.total;
    const bounds = scene.marks.map((mark) => {
      const bound = make("i", { class: `ct-${mark.bound}-mark`, title: mark.label });
      bound.style.left = `${(100 * mark.at) / Math.max(scene.total, 1)}%`;
      return bound;
    });
    this.marks.replaceChildren(...bounds);
    this.units.replaceChildren(
      ...scene.choices.map((unit) => make("option", { value: unit }, unit)),
    );
    this.takeUnit(this.unit);
    this.skipBox.hidden = scene.macs.cropped === 0;
  }

  // -- units ----------------------------------------------------------------------------------

  /** Take a unit, where there is one of this name. */
  takeUnit(unit) {
    this.unit = this.scene.choices.includes(unit) ? unit : "MAC";
    this.units.value = this.unit;
  }

  /** Take a unit, and show what one step of it spans. */
  setUnit(unit) {
    this.takeUnit(unit);
    this.does.respan();
  }

  nextUnit() {
    const { choices } = this.scene;
    this.setUnit(choices[(choices.indexOf(this.unit) + 1) % choices.length]);
  }

  // -- stepping -------------------------------------------------------------------------------

  forward() {
    const { scene } = this;
    let to = this.#isAll ? scene.total : scene.next(this.step, this.level);
    while (this.skipCropped && to < scene.stop && !this.#reachesOutput(this.step, to))
      to = scene.next(to, this.level);
    this.seek(Math.min(to, scene.total));
  }

  back() {
    const { scene } = this;
    let to = this.#isAll ? 0 : scene.back(this.step, this.level);
    while (
      this.skipCropped &&
      to > scene.start &&
      !this.#reachesOutput(scene.back(to, this.level), to)
    ) {
      to = scene.back(to, this.level);
    }
    this.seek(Math.max(to, 0));
  }

  get #isAll() {
    return this.unit === "all";
  }

  /** Whether any MAC between two steps is not cropped. */
  #reachesOutput(from, to) {
    const { scene } = this;
    for (let at = from; at < to; at += 1)
      if (scene.has(at) && scene.kept(at - scene.start)) return true;
    return false;
  }

  /** Go to a step; where its window is not here yet, it is awaited. */
  seek(step) {
    const inside = Math.max(0, Math.min(step, this.scene.total));
    const target = this.reach(inside, this.step);
    if (!this.does.bring(target)) {
      this.awaited = target;
      this.slider.value = target;
      return;
    }
    this.awaited = null;
    this.step = target;
    this.slider.value = target;
    const at = `MAC ${target.toLocaleString("en")} of ${this.scene.total.toLocaleString("en")}`;
    this.slider.setAttribute("aria-valuetext", at);
    this.readout.textContent = at;
    this.does.stand();
  }

  // -- playing --------------------------------------------------------------------------------

  toggle() {
    if (this.isPlaying) this.stop();
    else this.#play();
  }

  #play() {
    if (this.step >= this.scene.total) this.seek(0);
    this.#setPlaying(true);
    let due = performance.now();
    const tick = (now) => {
      if (!this.isPlaying) return;
      if (now >= due && this.awaited === null) {
        this.forward();
        due = Math.max(due + 1000 / this.speed, now);
        if (this.step >= this.scene.total) this.stop();
      }
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  stop() {
    this.#setPlaying(false);
  }

  #setPlaying(on) {
    this.isPlaying = on;
    const name = on ? "Pause" : "Play";
    this.playButton.setAttribute("aria-label", name);
    this.playButton.title = `${name} (${KEYS.Play})`;
    this.playButton.replaceChildren(icon(name));
    this.does.playing(on);
  }
}
