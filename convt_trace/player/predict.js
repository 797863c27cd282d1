// Predict mode: the output is hidden, people type what a cell will be, and are told at once. What they
// type is compared with the scene's own numbers; nothing is sent anywhere. The functions and `Quiz`
// touch no page, so that `node --test` can import them; `Predict` is the panel that asks.

import { number } from "./number.js";
import { DONE, Filling } from "./filling.js";

/** The hints of a cell: which inputs reach it, through which taps, and the numbers to multiply. */
export const HINTS = 3;
const MOST_TERMS = 24;
const CLOSE = 0.01; // as near as fractions have to come, of their size
const NOTHING = 1e-6; // what a sum leaves of 0 in float32
const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The output cells whose numbers are hidden from a step on: those that are not done by then.
 * In a window that does not hold that step all are, rather than one too few.
 * @param {import("./scene.js").Scene} scene
 * @param {number} from
 */
export function hiddenCells(scene, from) {
  const cells = [...Array(scene.output.cells).keys()];
  if (from === 0 || from < scene.start) return new Set(cells);
  const filling = new Filling(scene);
  filling.go(Math.min(from, scene.stop));
  return new Set(cells.filter((cell) => filling.stages[cell] !== DONE));
}

/** Whether what somebody typed is a cell's number; null where it cannot be read as a number. */
export function judge(text, value) {
  const plain = text.replace(/\s/g, "").replace(/[−–]/g, "-").replace(/^\+/, "").replace(",", ".");
  if (/^nan$/i.test(plain)) return Number.isNaN(value);
  const infinite = /^(-?)inf(inity)?$/i.exec(plain);
  if (infinite) return value === (infinite[1] ? -Infinity : Infinity);
  if (!NUMBER.test(plain)) return null;
  if (typeof value === "bigint")
    return /^-?\d+$/.test(plain) ? BigInt(plain) === value : Number(plain) === Number(value);
  if (!Number.isFinite(value)) return false;
  return Math.abs(Number(plain) - value) <= slack(value);
}

/** How far off an answer may be: whole numbers are to be hit, what is shown rounded is not. */
function slack(value) {
  return Number.isInteger(value) && Math.abs(value) < 1e5
    ? 0
    : Math.max(CLOSE * Math.abs(value), NOTHING);
}

/**
 * A hint of a level from 1 to `HINTS`: a sentence, and the cells to outline. Never the result.
 * @param {import("./scene.js").Scene} scene
 * @param {number} cell
 * @param {number} level
 */
export function hint(scene, cell, level) {
  const { name, terms, complete } = scene.sumOf(cell);
  const rest = complete ? "" : "; channels that are not shown add to it";
  const inputs = [...new Set(terms.map((term) => term.x))];
  const real = inputs.filter((x) => scene.input.kind(x) === "real");
  const zeros = inputs.length - real.length;
  const taps = level > 1 ? terms.map((term) => term.w) : [];
  if (!terms.length)
    return {
      text: `No input value reaches ${name}, so no tap does and there is nothing to multiply${rest}.`,
      inputs,
      taps,
    };
  const listed = (texts, apart) =>
    texts.slice(0, MOST_TERMS).join(apart) + (texts.length > MOST_TERMS ? " …" : "");
  const text = {
    1: () =>
      `These inputs reach ${name}: ${[
        listed(
          real.map((x) => scene.input.cellName(x)),
          ", ",
        ),
        zeros ? `${zeros} padded zero${zeros > 1 ? "s" : ""}` : "",
      ]
        .filter(Boolean)
        .join(", ")}`,
    2: () =>
      `Each through one tap: ${listed(
        terms.map((term) => term.names),
        " + ",
      )}`,
    3: () =>
      `The products: ${listed(
        terms.map((term) => term.numbers),
        " + ",
      )}${plusBias(scene, cell)}`,
  }[level]();
  return { text: `${text}${rest}.`, inputs, taps };
}

function plusBias(scene, cell) {
  const bias = biasOf(scene, cell);
  return bias === null ? "" : ` + ${bias} (bias)`;
}

/** The bias of a cell's channel as text, null without one: no panel shows it. */
function biasOf(scene, cell) {
  const { bias } = scene.output.channels[scene.output.place(cell)[0]];
  return bias === null ? null : number(Number(bias));
}

/** What somebody has answered so far, by the cells' names: those stay when windows change. */
export class Quiz {
  constructor() {
    this.solved = new Set();
    this.tried = new Map();
    this.hinted = new Map();
    this.first = 0;
  }

  /** Count one answer. */
  answer(name, right) {
    const tries = (this.tried.get(name) ?? 0) + 1;
    this.tried.set(name, tries);
    if (!right) return;
    this.solved.add(name);
    if (tries === 1 && !this.hinted.has(name)) this.first += 1;
  }

  /** The level of the next hint, at most `HINTS`. */
  takeHint(name) {
    const level = Math.min((this.hinted.get(name) ?? 0) + 1, HINTS);
    this.hinted.set(name, level);
    return level;
  }

  /** The score as a sentence. */
  score(cells) {
    const sum = (counts) => [...counts.values()].reduce((all, count) => all + count, 0);
    const many = (count, what, more) => `${count} ${count === 1 ? what : more}`;
    return [
      `${this.solved.size} of ${many(cells, "cell", "cells")} right`,
      `${this.first} on the first try`,
      many(sum(this.tried), "answer", "answers"),
      many(sum(this.hinted), "hint", "hints"),
    ].join(" · ");
  }
}

/** The panel that asks, and what it keeps hidden. */
export class Predict {
  /**
   * `make` makes elements; `changed` is called when other numbers are hidden than before, `aimed`
   * when another cell or hint is to be outlined, `ended` when somebody wants to see the output.
   */
  constructor(make, { changed, aimed, ended }) {
    this.make = make;
    this.tell = { changed, aimed, ended };
    this.from = null;
    this.cells = new Set();
    this.quiz = new Quiz();
    this.target = null;
    this.#build();
  }

  #build() {
    const { make } = this;
    const button = (text, run, about) =>
      make("button", { type: "button", onclick: run, title: about ?? false }, text);
    const id = `ct-answer-${Math.random().toString(36).slice(2)}`;
    this.ask = make("label", { class: "ct-ask", for: id });
    this.input = make("input", {
      id,
      type: "text",
      inputmode: "text",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      enterkeyhint: "done",
      maxlength: 40,
    });
    this.hintButton = button("Hint", () => this.#hint());
    this.said = make("p", { class: "ct-said", role: "status" });
    this.form = make(
      "form",
      { class: "ct-answer" },
      this.ask,
      make(
        "div",
        { class: "ct-row" },
        this.input,
        make("button", { type: "submit", class: "ct-first" }, "Check"),
        this.hintButton,
      ),
      this.said,
    );
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.#check();
    };
    this.hints = make("ol", { class: "ct-hints", "aria-label": "Hints" });
    this.hints.setAttribute("aria-live", "polite");
    this.scored = make("p", { class: "ct-score", "aria-label": "Score" });
    this.element = make(
      "section",
      { class: "ct-predict", "aria-label": "Predict the output", hidden: true },
      this.form,
      this.hints,
      make(
        "div",
        { class: "ct-row" },
        button("Previous cell", () => this.#move(-1)),
        button("Next cell", () => this.#move(1)),
        button(
          "Show the output",
          () => this.tell.ended(),
          "Ends predicting; every number is shown",
        ),
        this.scored,
      ),
    );
  }

  get on() {
    return this.from !== null;
  }

  /**
   * Hide the output of a scene from a step on, and ask for a cell of it; null shows everything.
   * @param {import("./scene.js").Scene} scene
   * @param {number | null} from
   * @param {number | null} cell
   */
  start(scene, from, cell = null) {
    this.from = from;
    this.quiz = new Quiz();
    this.target = null;
    this.#say("");
    this.show(scene);
    if (cell !== null && this.#askable.includes(cell)) this.aim(cell);
  }

  /**
   * Go on in another window.
   * @param {import("./scene.js").Scene} scene
   */
  show(scene) {
    this.scene = scene;
    this.element.hidden = !this.on;
    this.cells = this.on ? hiddenCells(scene, this.from) : new Set();
    this.names = new Map([...this.cells].map((cell) => [cell, scene.output.cellName(cell)]));
    if (!this.on) return;
    const left = this.#left;
    this.aim(
      left.includes(this.target)
        ? this.target
        : (left[0] ?? this.target ?? this.#askable[0] ?? null),
    );
  }

  /** The hidden cells that are in the output; what padding crops nobody asks for. */
  get #askable() {
    return [...this.cells].filter((cell) => this.scene.torchCell[cell] >= 0);
  }

  get #left() {
    return this.#askable.filter((cell) => !this.isSolved(cell));
  }

  isSolved(cell) {
    return this.on && this.quiz.solved.has(this.names.get(cell));
  }

  /** Whether the number that a cell ends with is not to be seen. */
  hides(cell) {
    return this.cells.has(cell) && !this.isSolved(cell);
  }

  /** Whether what a cell holds at a step is not to be seen. */
  covers(cell, step) {
    return this.hides(cell) && (this.from === 0 || step > this.from);
  }

  /** Whether anything is still hidden. */
  get hidesAny() {
    return this.on && this.#left.length > 0;
  }

  /** What the hints that were taken outline. */
  get hinted() {
    const level =
      this.target === null ? 0 : (this.quiz.hinted.get(this.names.get(this.target)) ?? 0);
    if (!level || !this.hides(this.target)) return { inputs: [], taps: [] };
    return hint(this.scene, this.target, level);
  }

  /** Ask for a cell. */
  aim(cell) {
    const other = cell !== this.target;
    this.target = cell;
    if (other) this.input.value = "";
    if (cell === null || !this.#askable.includes(cell)) {
      this.ask.textContent = "No cell of this output is hidden.";
      this.form.classList.add("ct-over-now");
    } else {
      this.#question(cell);
    }
    this.#show();
  }

  #question(cell) {
    const name = this.names.get(cell);
    const bias = biasOf(this.scene, cell);
    const solved = this.isSolved(cell);
    const known = bias === null ? "" : `, with a bias of ${bias}`;
    this.form.classList.toggle("ct-over-now", solved);
    this.ask.textContent = solved
      ? `${name} = ${number(this.scene.output.values[cell])}`
      : `What will ${name} be${known}?`;
  }

  #show() {
    const { make, quiz } = this;
    const name = this.names.get(this.target);
    const level =
      this.target !== null && this.hides(this.target) ? (quiz.hinted.get(name) ?? 0) : 0;
    this.hintButton.textContent = level < HINTS ? `Hint ${level + 1} of ${HINTS}` : "No more hints";
    this.hintButton.disabled = level >= HINTS;
    const texts = Array.from(
      { length: level },
      (_, at) => hint(this.scene, this.target, at + 1).text,
    );
    this.hints.replaceChildren(...texts.map((text) => make("li", {}, text)));
    this.hints.hidden = !level;
    this.scored.textContent = quiz.score(this.#askable.length);
    this.tell.aimed();
  }

  #say(text, kind = "") {
    this.said.textContent = text;
    this.said.dataset.kind = kind;
  }

  #hint() {
    this.quiz.takeHint(this.names.get(this.target));
    this.#show();
  }

  #check() {
    const { input, target, scene } = this;
    const name = this.names.get(target);
    const right = judge(input.value, scene.output.values[target]);
    if (right === null) {
      this.#say(
        input.value.trim()
          ? "That is not a number. Type one, such as -1.5."
          : "Type a number first.",
        "unclear",
      );
      input.focus();
      return;
    }
    this.quiz.answer(name, right);
    if (right) this.#solved(name, target);
    else {
      const more = this.quiz.hinted.get(name) === HINTS ? "" : ", or take a hint";
      this.#say(`${input.value.trim()} is not right. Try again${more}.`, "wrong");
      this.#show();
      input.select();
    }
    input.focus();
  }

  #solved(name, cell) {
    const left = this.#left;
    const after = left.find((other) => other > cell) ?? left[0];
    const total = number(this.scene.output.values[cell]);
    this.#say(`Right: ${name} = ${total}.${left.length ? "" : " That was the last one."}`, "right");
    this.aim(after ?? cell);
    this.tell.changed();
  }

  /** Ask for the next cell that is not solved, or the one before. */
  #move(by) {
    const left = this.#left;
    if (!left.length) return;
    const at = left.indexOf(this.target);
    this.#say("");
    this.aim(left[(at + by + left.length) % left.length] ?? left[0]);
  }
}
