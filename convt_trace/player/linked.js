// A linked view as the browser reads it: its tensors, and the cell of each that a row of the window
// lights. Nothing here touches the page. Python works all of it out (convt_trace/player/linked.py) but
// for a matrix, whose entries are the scene's own terms.

import { number } from "./number.js";
import { Panel } from "./panel.js";
import { unpack } from "./scene.js";

/** Rows, and columns, of a matrix that are shown at once. */
export const MOST_SIDE = 36;
/** How far a matrix moves when the MAC in work leaves what is shown. */
const STRIDE = MOST_SIDE / 2;

/** Decode the message of a linked view of a scene's window. */
export function decodeLinked(message, scene) {
  const { header, columns } = unpack(message);
  return new Linked(/** @type {any} */ (header), columns, scene);
}

export class Linked {
  /**
   * @param {import("./message.d.ts").LinkedHeader} header
   * @param {Record<string, any>} columns
   * @param {import("./scene.js").Scene} scene
   */
  constructor(header, columns, scene) {
    this.scene = scene;
    this.name = header.view;
    this.title = header.title;
    this.sentence = header.sentence;
    this.template = header.equation;
    this.code = header.code;
    this.proof = header.proof;
    this.notes = header.notes;
    this.arrows = header.arrows;
    this.tensors = header.panels.map((spec) =>
      spec.joins ? new Joining(spec, scene) : new Tensor(spec, columns),
    );
  }

  /** The tensors in lines, [heading, tensors], as they stand below each other. */
  get lines() {
    const lines = [];
    for (const tensor of this.tensors) {
      if (tensor.line || !lines.length) lines.push([tensor.line, []]);
      lines.at(-1)[1].push(tensor);
    }
    return lines;
  }

  /** What holds for a row's MAC: the template with names and numbers; hidden ones are question marks. */
  equation(row, hidden = false) {
    const said = this.template.replace(/\{(\w+)(=?)\}/g, (_, name, wantsNumber) => {
      const tensor = this.tensors.find((one) => one.name === name);
      if (tensor && !wantsNumber) return tensor.nameAt(row);
      if (hidden) return "?";
      return tensor ? tensor.numberAt(row) : number(this.scene.columns[name][row]);
    });
    return this.scene.kept(row) ? said : `${said}. ${CROPPED}`;
  }
}

const CROPPED = "That output cell is cropped by padding.";

/** A tensor that came with the message: blocks of cells. */
class Tensor {
  constructor(spec, columns) {
    this.name = spec.name;
    this.line = spec.line;
    this.tells = spec.tells;
    this.missing = spec.missing;
    this.panel = new Panel(spec, columns[`values.${spec.name}`], spec.dims);
    this.lit = columns[`lit.${spec.name}`];
    this.there = columns[`there.${spec.name}`];
    this.rows = null;
  }

  /** The cell that a row lights; -1 where it is not on screen. */
  cellOf(row) {
    return this.lit[row];
  }

  /** The rows that light a cell. */
  rowsOf(cell) {
    if (!this.rows) {
      this.rows = new Map();
      this.lit.forEach((at, row) => {
        if (!this.rows.has(at)) this.rows.set(at, []);
        this.rows.get(at).push(row);
      });
    }
    return this.rows.get(cell) ?? [];
  }

  /** What a cell holds; null where it holds nothing. */
  valueOf(cell) {
    return !this.panel.values || (this.there && !this.there[cell]) ? null : this.panel.values[cell];
  }

  nameAt(row) {
    const cell = this.cellOf(row);
    return cell < 0 ? "…" : this.panel.cellName(cell);
  }

  numberAt(row) {
    const cell = this.cellOf(row);
    const value = cell < 0 ? null : this.valueOf(cell);
    return value === null ? "…" : number(value);
  }

  /** Show what a row lights; false: all of the tensor is shown already. */
  see(_row) {
    return false;
  }
}

/**
 * A matrix whose rows and columns are cells of two tensors of the scene. Of a large one the part
 * around the MAC in work is shown.
 */
class Joining {
  constructor(spec, scene) {
    this.name = spec.name;
    this.line = spec.line;
    this.tells = false;
    this.missing = "";
    this.spec = spec;
    this.scene = scene;
    this.sides = spec.joins.map((name) => new Side(scene, name));
    this.#make();
  }

  #make() {
    const [down, along] = this.sides;
    const { spec, scene } = this;
    const shape = this.isWhole ? spec.shape : `${spec.shape}; around this step`;
    const tracks = [{ label: [0] }, down.track(), along.track()];
    const channels = [{ index: [], label: `${spec.letter}[`, group: 0 }];
    const panel = new Panel({ ...spec, shape, tracks, channels, limit: scene.weight.limit }, [], 2);
    panel.cellName = (cell) => this.#cellName(cell);
    this.panel = panel;
    this.entries = this.#entries();
  }

  get isWhole() {
    return this.sides.every((side) => side.isWhole);
  }

  /** The weight cell of every entry on screen, by the entry's cell. */
  #entries() {
    const { scene } = this;
    const entries = new Map();
    const [outputs] = this.sides.filter((side) => side.name === "output");
    for (const cell of outputs.shown) {
      for (const { x, w, y } of scene.termsOf(cell)) {
        const at = this.#at(x, y);
        if (at >= 0) entries.set(at, w);
      }
    }
    return entries;
  }

  /** The entry where an input cell and an output cell meet; -1 where it is not on screen. */
  #at(x, y) {
    const [row, column] = this.sides.map((side) => side.placeOf(side.name === "input" ? x : y));
    return row < 0 || column < 0 ? -1 : this.panel.cell([0, 0, row, column]);
  }

  #cellName(cell) {
    const [, , row, column] = this.panel.place(cell);
    const [down, along] = this.sides;
    return `${this.spec.letter}[(${down.labels[row]}), (${along.labels[column]})]`;
  }

  cellOf(row) {
    const { x, y } = this.scene.columns;
    return this.#at(x[row], y[row]);
  }

  rowsOf(cell) {
    const { x, y } = this.scene.columns;
    const [, , ...places] = this.panel.place(cell);
    const cells = Object.fromEntries(
      this.sides.map((side, at) => [side.name, side.shown[places[at]]]),
    );
    const rows = [];
    x.forEach((here, row) => {
      if (here === cells.input && y[row] === cells.output) rows.push(row);
    });
    return rows;
  }

  valueOf(cell) {
    const tap = this.entries.get(cell);
    return tap === undefined ? null : this.scene.weight.values[tap];
  }

  nameAt(row) {
    const cell = this.cellOf(row);
    return cell < 0 ? "…" : this.panel.cellName(cell);
  }

  numberAt(row) {
    return number(this.scene.weight.values[this.scene.columns.w[row]]);
  }

  /** Move to where a row's entry is shown; whether it was not. */
  see(row) {
    if (this.cellOf(row) >= 0) return false;
    const { x, y } = this.scene.columns;
    for (const side of this.sides) side.moveTo(side.name === "input" ? x[row] : y[row]);
    this.#make();
    return true;
  }
}

/** One side of a matrix: the cells of a tensor in a line, and the stretch of them that is shown. */
class Side {
  constructor(scene, name) {
    this.name = name;
    this.panel = scene[name];
    this.cells = Array.from({ length: this.panel.cells }, (_, cell) => cell).filter(
      (cell) => this.panel.kind(cell) === "real",
    );
    this.order = new Map(this.cells.map((cell, at) => [cell, at]));
    this.#show(0);
  }

  /** Their indices are written as text, such as "0,3": the channel, then the position. */
  #show(start) {
    this.start = start;
    this.shown = this.cells.slice(start, start + MOST_SIDE);
    this.labels = this.shown.map((cell) =>
      this.panel
        .index(cell)
        .slice(-1 - this.panel.dims)
        .join(","),
    );
  }

  get isWhole() {
    return this.cells.length <= MOST_SIDE;
  }

  track() {
    return {
      label: this.labels,
      crop: this.shown.map((cell) => this.panel.marked(cell, "crop")),
      group: this.shown.map((cell) => this.panel.channels[this.panel.place(cell)[0]].group),
    };
  }

  /** Where a cell of the tensor stands on screen; -1 where it does not. */
  placeOf(cell) {
    const at = (this.order.get(cell) ?? -1) - this.start;
    return at >= 0 && at < MOST_SIDE ? at : -1;
  }

  moveTo(cell) {
    if (this.placeOf(cell) >= 0) return;
    const at = this.order.get(cell) ?? 0;
    const last = Math.max(0, this.cells.length - MOST_SIDE);
    this.#show(Math.min(last, Math.max(0, Math.floor(at / STRIDE) * STRIDE - STRIDE / 2)));
  }
}
