// A scene as the browser reads it: decoding the message, looking cells up, walking steps, saying them.
// Nothing here touches the page, so that `node --test` can import it. The message is described in
// docs/scene.md; which cells meet and what they sum to was worked out in Python, and is looked up here.

import { fromText, toText } from "./cell.js";
import { isTouched } from "./hands.js";
import { isExact, number, toldApart } from "./number.js";
import { Panel } from "./panel.js";

const ARRAYS = {
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
};
/** What there is to do first. */
const START = {
  press: "Press Play, or step with the right arrow.",
  tap: "Tap Play, or step with the arrow to its right.",
};
const KEPT = 1;
const COMPLETES = 2;
const LEVEL_SHIFT = 4;

/** Decode one message (Uint8Array) into a Scene. */
export function decode(message) {
  const { header, columns } = unpack(message);
  return new Scene(header, columns, parts(message, header));
}

/** The messages that a message carries behind it, by name; its header has their lengths. */
function parts(message, { parts: sizes = {} }) {
  let at = message.length - Object.values(sizes).reduce((sum, size) => sum + size, 0);
  return new Map(
    Object.entries(sizes).map(([name, size]) => [name, message.subarray(at, (at += size))]),
  );
}

/** A message's header, and its arrays by name. */
export function unpack(message) {
  // A copy starts at offset 0, which typed arrays of 8-byte numbers need.
  const bytes = message.slice();
  const size = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const columns = {};
  for (const [name, [dtype, offset, count]] of Object.entries(header.columns)) {
    columns[name] = new ARRAYS[dtype](bytes.buffer, 4 + size + offset, count);
  }
  return { header, columns };
}

/** Whether a window, {start, stop}, can show a step: the MAC before it is in the window. */
export function holds({ start, stop }, step) {
  return step === 0 ? start === 0 : start < step && step <= stop;
}

/** One window of a trace with the tensors around it. */
export class Scene {
  /**
   * @param {import("./message.d.ts").Header} header
   * @param {Record<string, any>} columns
   * @param {Map<string, Uint8Array>} views messages of linked views of this window, by name
   */
  constructor(header, columns, views = new Map()) {
    this.case = header.case;
    this.order = header.order;
    this.isConv = header.op === "conv"; // a plain convolution: nothing is flipped, nothing is cropped
    this.dims = header.dims;
    this.sizes = header.sizes;
    this.macs = header.macs;
    this.units = header.units;
    this.choices = header.choices;
    this.reach = header.reach;
    this.marks = header.marks;
    this.links = header.links;
    this.axes = header.axes;
    this.showsAllTerms = header.all_terms;
    this.verdict = header.verdict;
    this.dtype = header.dtype;
    this.opening = header.opening;
    this.offers = header.views ?? [];
    this.views = views;
    this.columns = columns;
    this.tensors = header.panels.map(
      (spec) => new Panel(spec, columns[`values.${spec.name}`], header.dims),
    );
    const [input, weight, output, torch] = this.tensors;
    this.input = input;
    this.weight = weight;
    this.output = output;
    this.torch = torch;
    this.start = header.window.start;
    this.stop = header.window.stop;
    this.total = header.window.total;
    this.previous = this.#chain();
    // Per output cell, its cell on torch's panel, which has them in the same order; -1 where cropped.
    let next = 0;
    this.torchCell = Int32Array.from({ length: this.output.cells }, (_, cell) =>
      this.output.marked(cell, "crop") ? -1 : next++,
    );
    this.outputCell = new Int32Array(this.torch.cells);
    this.torchCell.forEach((there, cell) => there >= 0 && (this.outputCell[there] = cell));
    this.#indexPairs();
    /** @type {boolean | undefined} */
    this.roundsSome = undefined;
  }

  /** Per row, the row before it that lands in the same cell; -1 for none in this window. */
  #chain() {
    const { y } = this.columns;
    const last = new Int32Array(this.output.cells).fill(-1);
    return Int32Array.from(y, (cell, row) => {
      const before = last[cell];
      last[cell] = row;
      return before;
    });
  }

  /** Per axis, the (input, tap, output) places that meet, listed by output place and by input place. */
  #indexPairs() {
    const axes = [...Array(3 - this.dims).fill({ x: [0], w: [0], y: [0] }), ...this.axes];
    this.byOutput = axes.map(() => new Map());
    this.byInput = axes.map(() => new Map());
    axes.forEach((axis, at) => {
      axis.x.forEach((x, pair) => {
        const entry = { x, w: axis.w[pair], y: axis.y[pair] };
        push(this.byOutput[at], entry.y, entry);
        push(this.byInput[at], entry.x, entry);
      });
    });
  }

  /** Whether a MAC is in this window. */
  has(mac) {
    return mac >= this.start && mac < this.stop;
  }

  /** The row that a step ends with. */
  rowOf(step) {
    return step - 1 - this.start;
  }

  /** Whether a row's MAC is inside the output, not cropped by padding. */
  kept(row) {
    return (this.columns.flags[row] & KEPT) !== 0;
  }

  completes(row) {
    return (this.columns.flags[row] & COMPLETES) !== 0;
  }

  /** The largest unit, as a place in `units`, that this row is the first of. */
  level(row) {
    return this.columns.flags[row] >> LEVEL_SHIFT;
  }

  /** Every (input, weight, output) cell triple that lands in an output cell, in order of addition. */
  termsOf(cell) {
    const [channel, ...places] = this.output.place(cell);
    const lists = places.map((at, axis) => this.byOutput[axis].get(at) ?? []);
    return this.#meet(
      lists,
      this.links.filter((link) => link[2] === channel),
    );
  }

  /** Every triple that an input cell takes part in. */
  usesOf(cell) {
    const [channel, ...places] = this.input.place(cell);
    const lists = places.map((at, axis) => this.byInput[axis].get(at) ?? []);
    return this.#meet(
      lists,
      this.links.filter((link) => link[0] === channel),
    );
  }

  /** The cells of an input channel that the kernel covers at an output cell, zeros included. */
  windowOf(cell, channel) {
    const [, ...places] = this.output.place(cell);
    const [depth, row, column] = this.isConv
      ? places.map((at, axis) => this.byOutput[axis].get(at)[0].x)
      : places;
    const [depths, rows, columns] = this.isConv
      ? places.map((at, axis) => spanned(this.byOutput[axis].get(at)))
      : this.reach;
    return Array.from({ length: depths * rows * columns }, (_, at) =>
      this.input.cell([
        channel,
        depth + Math.floor(at / (rows * columns)),
        row + (Math.floor(at / columns) % rows),
        column + (at % columns),
      ]),
    );
  }

  /**
   * Every combination of what meets along the axes, for these links.
   * @param {{x: number, w: number, y: number}[][]} axes depth, rows, columns
   * @param {number[][]} links
   */
  #meet([depth, row, column], links) {
    const triples = [];
    for (const [x, w, y] of links) {
      for (const d of depth) {
        for (const r of row) {
          for (const c of column) {
            triples.push({
              x: this.input.cell([x, d.x, r.x, c.x]),
              w: this.weight.cell([w, d.w, r.w, c.w]),
              y: this.output.cell([y, d.y, r.y, c.y]),
            });
          }
        }
      }
    }
    return triples;
  }

  /** The next step after `step` that ends a unit of `level`; the window's end where it goes on. */
  next(step, level) {
    for (let at = step + 1; at < this.stop; at += 1) {
      if (this.level(at - this.start) >= level) return at;
    }
    // A step that stands on the window's end goes beyond it.
    const beyond = Math.min(Math.max(this.stop, step + 1), this.total);
    return this.#mark(level, (at) => at >= beyond) ?? beyond;
  }

  /** The last step before `step` that ends a unit of `level`. */
  back(step, level) {
    for (let at = Math.min(step, this.stop) - 1; at > this.start; at -= 1) {
      if (this.level(at - this.start) >= level) return at;
    }
    return this.#mark(level, (at) => at <= this.start, true) ?? this.start;
  }

  /** The nearest group or channel bound outside the window, for the units that large. */
  #mark(level, fits, last = false) {
    const group = this.units.indexOf("group");
    if (level < group - 1) return undefined;
    const marks = this.marks
      .filter((mark) => level < group || mark.bound === "group")
      .map((mark) => mark.at);
    if (level > group) marks.length = 0;
    const found = [0, ...marks, this.total].filter(fits);
    return last ? found.at(-1) : found[0];
  }

  /** The first row of the unit that ends with `row`. */
  unitStart(row, level) {
    let first = row;
    while (first > 0 && this.level(first) < level) first -= 1;
    return first;
  }

  /** The step as one sentence; of the output cells that `hides` names it tells no number. */
  sentence(step, level, hides = (_cell) => false) {
    if (step === 0) return this.#opening();
    const row = this.rowOf(step);
    const first = this.unitStart(row, level);
    if (first === row) return this.#macSentence(row, hides);
    const rows = Array.from({ length: row - first + 1 }, (_, at) => first + at);
    const cropped = rows.filter((at) => !this.kept(at)).length;
    const some = cropped ? `, ${cropped.toLocaleString("en")} cropped` : "";
    const count = `${rows.length.toLocaleString("en")} MACs${some}`;
    return `${this.#unitSubject(first, row, level)} (${count}); last: ${this.#macSentence(row, hides)}`;
  }

  #opening() {
    const { all, cropped, padded = 0 } = this.macs;
    const crop = cropped ? `; padding crops ${cropped.toLocaleString("en")} of them` : "";
    const zeros = padded ? `; ${padded.toLocaleString("en")} of them read a padded zero` : "";
    return `${all.toLocaleString("en")} multiply-accumulates make this output${crop}${zeros}. ${START[isTouched() ? "tap" : "press"]}`;
  }

  #unitSubject(first, row, level) {
    const { x, w, y } = this.columns;
    const unit = this.units[Math.min(level, this.units.length - 1)];
    const input = this.input.cellName(x[first]);
    if (unit === "stamp" || unit === "tap row") {
      return `${input} = ${this.value("input", x[first])} stamps ${this.#span(this.weight, w[first], w[row])} onto ${this.#span(this.output, y[first], y[row])}`;
    }
    if (unit === "input value")
      return `${input} = ${this.value("input", x[first])} stamps every kernel of its group`;
    if (this.isConv && unit === "window") {
      const channel = this.input.channels[this.input.place(x[first])[0]];
      return `${this.output.cellName(y[first])} collects its window on ${channel.label}]`;
    }
    if (unit === "window" || unit === "output cell") {
      if (this.isConv) return `${this.output.cellName(y[first])} collects its whole window`;
      return `${this.output.cellName(y[first])} collects its taps`;
    }
    if (unit === "all") return "Everything";
    const mark = this.marks.filter((m) => m.at <= this.start + first).at(-1);
    return mark ? `The ${unit} of ${mark.label}` : `One ${unit}`;
  }

  /** Two cells of a channel as one slice, such as "y[0,0,-2:1]". */
  #span(panel, first, last) {
    const [channel, ...from] = panel.place(first);
    const [, ...to] = panel.place(last);
    const parts = panel.ownTracks.map(({ label }, axis) => {
      const [at, end] = [from, to].map((place) => place[3 - this.dims + axis]);
      return at === end ? label[at] : `${label[at]}..${label[end]}`;
    });
    return `${panel.channels[channel].label},${parts.join(",")}]`;
  }

  #macSentence(row, hides) {
    const { x, w, y, product, before, after } = this.columns;
    const [input, weight, output] = [
      this.input.cellName(x[row]),
      this.weight.cellName(w[row]),
      this.output.cellName(y[row]),
    ];
    if (hides(y[row])) {
      const from = `${input} * ${weight}`;
      if (this.kept(row)) return `${output} += ${from}: ${output} is hidden, to be predicted`;
      return `${output} is outside the output: ${from} is cropped by padding`;
    }
    const numbers = `${this.value("input", x[row])} * ${this.value("weight", w[row])}`;
    if (!this.kept(row)) {
      return `${output} is outside the output: ${input} * ${weight} = ${numbers} = ${number(product[row])} is cropped by padding`;
    }
    const sum = `${output} += ${input} * ${weight} = ${numbers}: ${number(before[row])} -> ${number(after[row])}`;
    return `${sum}${this.completes(row) ? this.#ending(y[row]) : ""}${this.#flippedPlace(w[row])}`;
  }

  /** When gathering: where the tap stands in the flipped kernel. */
  #flippedPlace(cell) {
    if (this.order !== "gather" || this.isConv) return "";
    const [, ...places] = this.weight.place(cell);
    return `; in the flipped kernel this tap is at place ${places.slice(3 - this.dims).join(",")}`;
  }

  #ending(cell) {
    const bias = this.output.channels[this.output.place(cell)[0]].bias;
    const total = number(this.output.values[cell]);
    return bias === null
      ? ` (done: ${total})`
      : `, + bias ${number(Number(bias))} = ${total} (done)`;
  }

  /** A cell's number, as text. */
  value(panel, cell) {
    return number(this[panel].values[cell]);
  }

  /** Whether some number of this window is rounded where it is written. */
  get rounds() {
    const { product, before, after } = this.columns;
    const shown = [...this.tensors.map((tensor) => tensor.values), product, before, after];
    this.roundsSome ??= shown.some((values) => values.some((value) => !isExact(value)));
    return this.roundsSome;
  }

  /** An output cell's whole sum: what it is made of, term by term. */
  sumOf(cell) {
    const terms = this.termsOf(cell).map(({ x, w }) => ({
      x,
      w,
      names: `${this.input.kind(x) === "real" ? this.input.cellName(x) : "0"}*${this.weight.cellName(w)}`,
      numbers: `${wrap(this.value("input", x))}*${wrap(this.value("weight", w))}`,
    }));
    const torchCell = this.torchCell[cell];
    const cropped = torchCell < 0;
    const [ours, theirs] = [this.output.values[cell], this.torch.values[torchCell]];
    const agrees = !cropped && this.columns.agrees[torchCell] === 1;
    const alone = cropped || this.verdict.kind === "none"; // torch has no number beside it
    const [total, torch] =
      alone || agrees ? [number(ours), alone ? null : number(theirs)] : toldApart(ours, theirs);
    return {
      name: this.output.cellName(cell),
      terms,
      complete: this.showsAllTerms,
      cropped,
      bias: this.output.channels[this.output.place(cell)[0]].bias,
      total,
      torch,
      agrees,
      extra: !cropped && this.output.marked(cell, "extra"),
    };
  }

  /** A name for the same MAC in any scene of the same layer: its input value and its weight. */
  identity(row) {
    const { x, w } = this.columns;
    return `${this.input.cellName(x[row])} ${this.weight.cellName(w[row])}`;
  }

  /** Whether the input has no batch axis; the tensors' indices then have none either. */
  get unbatched() {
    return this.output.channels[0]?.index.length === 1;
  }

  /** The cell on screen that a text names, such as "output:0,3,0"; null where it is not there. */
  find(text) {
    const named = fromText(text);
    const panel = this.tensors.find(({ name }) => name === named?.tensor);
    if (!panel) return null;
    // Of an unbatched case, item 0 may be named too: the command line does.
    const whole = this.unbatched && panel !== this.weight && named.place.length === this.dims + 2;
    const cell = panel.cellOfIndex(
      whole && named.place[0] === 0 ? named.place.slice(1) : named.place,
    );
    return cell === null ? null : { panel: panel.name, cell };
  }

  /** A cell on screen as text; "" for a zero that the tensor does not hold. */
  textOf({ panel, cell }) {
    const place = this.tensors.find(({ name }) => name === panel).index(cell);
    return place ? toText({ tensor: panel, place }) : "";
  }

  /** An output cell as numbers, {tensor, place}: place is [n, c, ...position], n = 0 where unbatched. */
  outputCellOf(cell) {
    const index = this.output.index(cell);
    return { tensor: "output", place: this.unbatched ? [0, ...index] : index };
  }

  /** The step whose last MAC has this identity; undefined where it is not in the window. */
  stepOf(identity) {
    const row = this.columns.x.findIndex((_, at) => this.identity(at) === identity);
    return row < 0 ? undefined : this.start + row + 1;
  }
}

function wrap(text) {
  return text.startsWith("-") ? `(${text})` : text;
}

/** How many places lie between the first and the last input place of these pairs, both included. */
function spanned(pairs) {
  return pairs.at(-1).x - pairs[0].x + 1;
}

function push(map, key, value) {
  if (map.has(key)) map.get(key).push(value);
  else map.set(key, [value]);
}
