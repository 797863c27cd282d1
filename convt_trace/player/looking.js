// Looking at a cell: what is pointed at or pinned, what lights up with it, and what is said of it.

import { make, scrolls } from "./elements.js";
import { isTouched } from "./hands.js";
import { number } from "./number.js";

const TERMS_SHOWN = 24;

const HINTS = {
  point:
    "Point at an output cell to see its whole sum, at an input value to see where it goes; click to pin it.",
  tap: "Tap an output cell to see its whole sum, an input value to see where it goes; tap again to unpin.",
};

const PINS = {
  point: ["Pinned: click again, or press Esc, to unpin.", "Click to pin it."],
  tap: ["Pinned: tap again to unpin.", "Tap to pin it."],
};

export class Looking {
  /**
   * `player` has the scene, the picture and what is hidden; `tell` hears of a click on an output cell.
   * @param {import("./player.js").Player} player
   * @param {(cell: import("./cell.js").Cell) => void} tell
   */
  constructor(player, tell) {
    this.player = player;
    this.tell = tell;
    this.pinned = null;
    this.hovered = null;
    this.detail = make("div", { class: "ct-detail", role: "group", "aria-label": "Selected cell" });
  }

  get scene() {
    return this.player.scene;
  }

  /** Look at nothing; another scene has other cells. */
  forget() {
    this.pinned = null;
    this.hovered = null;
  }

  hover(target) {
    if (sameCell(target, this.hovered)) return;
    this.hovered = target;
    if (!this.pinned) this.light();
  }

  /** Pin a cell, or unpin the one that is pinned already. */
  pin(target) {
    const { predict } = this.player;
    this.pinned = sameCell(target, this.pinned) ? null : target;
    const { panel, cell } = this.pinned ? this.#asOutput(this.pinned) : {};
    if (panel === "output" && predict.hides(cell) && this.scene.torchCell[cell] >= 0)
      predict.aim(cell);
    this.light();
    if (panel === "output") this.tell(this.scene.outputCellOf(cell));
    this.player.tell();
  }

  /** The output cell that is pinned, on its own panel or on torch's; null for none. */
  outputCellOf(target) {
    const { panel, cell } = target ? this.#asOutput(target) : {};
    return panel === "output" ? cell : null;
  }

  /** A cell of torch's panel stands for the same cell of the output. */
  #asOutput({ panel, cell }) {
    return panel === "torch"
      ? { panel: "output", cell: this.scene.outputCell[cell] }
      : { panel, cell };
  }

  // -- lighting up ----------------------------------------------------------------------------

  light() {
    // A cell that is chosen is told in full; of those that are passed on the way, only what they hold.
    this.detail.setAttribute("aria-live", this.pinned ? "polite" : "off");
    this.#light();
    // Keys reach what scrolls, and pass by what does not.
    if (scrolls(this.detail)) this.detail.setAttribute("tabindex", "0");
    else this.detail.removeAttribute("tabindex");
  }

  #light() {
    const { picture, root, views } = this.player;
    const target = this.pinned ?? this.hovered;
    for (const sheet of picture.sheets) sheet.layers.lit.setAttribute("d", "");
    this.#outlineAsked();
    root.classList.toggle("ct-pinned", this.pinned !== null);
    views.light(target ? this.#rowsOf(this.#asOutput(target)) : []);
    if (!target) {
      const hint = HINTS[isTouched() ? "tap" : "point"];
      this.detail.replaceChildren(make("p", { class: "ct-hint" }, hint));
      return;
    }
    const { panel, cell } = this.#asOutput(target);
    if (panel === "output") this.#lightOutput(cell);
    else if (panel === "input") this.#lightInput(cell);
    else this.#lightWeight(cell);
  }

  /** The rows of the window that a cell takes part in; a hidden one tells none. */
  #rowsOf({ panel, cell }) {
    if (panel === "output" && this.player.predict.hides(cell)) return [];
    const column = this.scene.columns[{ input: "x", weight: "w", output: "y" }[panel]];
    const rows = [];
    column.forEach((at, row) => at === cell && rows.push(row));
    return rows;
  }

  /** Light what some rows read and write: those of a cell of a linked view. */
  lightRows(rows) {
    const { x, w, y } = this.scene.columns;
    const cells = (column) => rows.map((row) => column[row]);
    this.#lit("input", cells(x));
    this.#lit("weight", cells(w));
    this.#lit("output", cells(y));
  }

  /** Outline the cell to be predicted, and what its hints name. */
  #outlineAsked() {
    const { picture, predict } = this.player;
    const { input, weight, output, torch } = picture.sheetOf;
    const { target, hinted } = predict;
    const asked = predict.on && target !== null && predict.hides(target) ? [target] : [];
    output.layers.asked.setAttribute("d", output.outline(asked, 2));
    torch.layers.asked.setAttribute(
      "d",
      torch.outline(
        asked.map((cell) => this.scene.torchCell[cell]),
        2,
      ),
    );
    input.layers.asked.setAttribute("d", asked.length ? input.outline(hinted.inputs, 2) : "");
    weight.layers.asked.setAttribute(
      "d",
      asked.length ? weight.outline(new Set(hinted.taps), 2) : "",
    );
  }

  #lit(name, cells) {
    const sheet = this.player.picture.sheetOf[name];
    sheet.layers.lit.setAttribute("d", sheet.outline(new Set(cells), 1));
  }

  #lightOutput(cell) {
    if (this.player.predict.hides(cell)) {
      this.#lightHidden(cell);
      return;
    }
    const sum = this.scene.sumOf(cell);
    this.#lit(
      "input",
      sum.terms.map((term) => term.x),
    );
    this.#lit(
      "weight",
      sum.terms.map((term) => term.w),
    );
    this.#lit("output", [cell]);
    if (!sum.cropped) this.#lit("torch", [this.scene.torchCell[cell]]);
    this.detail.replaceChildren(...describeSum(sum), this.#pinHint());
  }

  #lightHidden(cell) {
    const there = this.scene.torchCell[cell];
    this.#lit("output", [cell]);
    if (there >= 0) this.#lit("torch", [there]);
    const name = this.scene.output.cellName(cell);
    const asks =
      cell === this.player.predict.target
        ? "type what it will be"
        : `${isTouched() ? "tap" : "click"} it to predict it`;
    const said = there < 0 ? " is cropped by padding." : ` is hidden: ${asks}.`;
    this.detail.replaceChildren(make("p", {}, make("b", {}, name), said));
  }

  #lightInput(cell) {
    const { scene } = this;
    const uses = scene.usesOf(cell);
    const inside = uses.filter((use) => scene.torchCell[use.y] >= 0);
    this.#lit("input", [cell]);
    this.#lit(
      "weight",
      uses.map((use) => use.w),
    );
    this.#lit(
      "output",
      uses.map((use) => use.y),
    );
    this.#lit(
      "torch",
      inside.map((use) => scene.torchCell[use.y]),
    );
    const goes = inside.slice(0, TERMS_SHOWN).map(({ y, w }) => {
      return `${scene.output.cellName(y)} (times ${scene.weight.cellName(w)} = ${scene.value("weight", w)})`;
    });
    if (inside.length > TERMS_SHOWN) goes.push(`… ${inside.length - TERMS_SHOWN} more`);
    const cropped = uses.length - inside.length;
    const name = make("b", {}, `${scene.input.cellName(cell)} = ${scene.value("input", cell)}`);
    const count = ` goes to ${inside.length} output cell${inside.length === 1 ? "" : "s"} shown`;
    this.detail.replaceChildren(
      make("p", {}, name, count, cropped ? `; ${cropped} more are cropped` : "", "."),
      make("p", { class: "ct-sum" }, goes.join(", ")),
      this.#pinHint(),
    );
  }

  #lightWeight(cell) {
    const { scene } = this;
    const channel = scene.weight.channels[scene.weight.place(cell)[0]];
    const name = make("b", {}, `${scene.weight.cellName(cell)} = ${scene.value("weight", cell)}`);
    const joins = ` joins input channel ${channel.in} to output channel ${channel.out}, in group ${channel.group}.`;
    this.#lit("weight", [cell]);
    this.detail.replaceChildren(make("p", {}, name, joins), this.#pinHint());
  }

  #pinHint() {
    const [pinned, loose] = PINS[isTouched() ? "tap" : "point"];
    return make("p", { class: "ct-hint" }, this.pinned ? pinned : loose);
  }
}

function sameCell(a, b) {
  return a === b || (a !== null && b !== null && a.panel === b.panel && a.cell === b.cell);
}

/** An output cell's sum as elements: names, numbers, total, and torch's number. */
function describeSum(sum) {
  const head = make("p", {}, make("b", {}, sum.name));
  if (sum.cropped) head.append(" is cropped by padding. It would have been");
  if (sum.extra) head.append(" was added by output_padding");
  const some = sum.terms.slice(0, TERMS_SHOWN);
  const more = sum.terms.length - some.length;
  const rest = more > 0 ? [`… ${more} more terms`] : [];
  if (!sum.complete) rest.push("… terms of channels that are not shown");
  const bias = sum.bias === null ? [] : [`bias ${number(Number(sum.bias))}`];
  if (!sum.terms.length && sum.complete) {
    head.append(` = ${bias[0] ?? "0"}: no input value reaches it.`);
    return [head];
  }
  const written = (parts) => [...parts, ...rest, ...bias].join(" + ");
  const total = make("p", { class: "ct-sum" }, make("b", {}, `= ${sum.total}`));
  if (sum.torch !== null)
    total.append(` · torch: ${sum.torch}, ${sum.agrees ? "agrees" : "differs"}`);
  return [
    head,
    make("p", { class: "ct-sum" }, `= ${written(some.map((term) => term.names))}`),
    make("p", { class: "ct-sum" }, `= ${written(some.map((term) => term.numbers))}`),
    total,
  ];
}
