// A scene as the browser reads it: decoding the message, naming cells, walking steps, saying them.
// Nothing here touches the page, so that `node --test` can import it. The message is described in
// docs/scene.md; every index in it was worked out in Python, and this file only looks rows up.

const ARRAYS = {
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
};
const KEPT = 1;
const COMPLETES = 2;
const LEVEL_SHIFT = 4;

export const EMPTY = 0;
export const FILLING = 1;
export const DONE = 2;

/** Decode one message (Uint8Array) into a Scene. */
export function decode(message) {
  // A copy starts at offset 0, which typed arrays of 8-byte numbers need.
  const bytes = message.slice();
  const size = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  const columns = {};
  for (const [name, [dtype, offset, count]] of Object.entries(header.columns)) {
    columns[name] = new ARRAYS[dtype](bytes.buffer, 4 + size + offset, count);
  }
  return new Scene(header, columns);
}

/** A number for people: whole numbers in full, others to `digits` significant digits. */
export function format(value, digits = 5) {
  if (typeof value === "bigint") return value.toString();
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  // Where there is little room a long whole number is rounded too, but never to a wrong whole number.
  if (Number.isInteger(value) && Math.abs(value) < (digits < 5 ? 1e5 : 1e15)) return String(value + 0);
  const rounded = Number(value.toPrecision(digits));
  const plain = String(rounded);
  const cut = Math.abs(rounded) >= 10 ** digits && rounded !== value;
  const short = plain.length <= digits + 3 && !cut;
  return (short ? plain : rounded.toExponential(Math.max(digits - 3, 0))).replace("e+", "e");
}

/** A tensor on screen: channels of depth x rows x columns cells, numbered in that order. */
export class Panel {
  constructor(spec, values) {
    Object.assign(this, spec);
    this.values = values;
    this.tracks = spec.tracks.map((track) => ({
      kind: [],
      crop: [],
      extra: [],
      ...track,
      length: track.label.length,
    }));
    const [depth, rows, columns] = this.tracks.map((track) => track.length);
    this.size = [depth, rows, columns];
    this.perChannel = depth * rows * columns;
    this.cells = this.perChannel * this.channels.length;
  }

  /** Cell number -> [channel, depth, row, column]. */
  place(cell) {
    const [, rows, columns] = this.size;
    return [
      Math.floor(cell / this.perChannel),
      Math.floor((cell % this.perChannel) / (rows * columns)),
      Math.floor((cell % (rows * columns)) / columns),
      cell % columns,
    ];
  }

  /** [channel, depth, row, column] -> cell number. */
  cell([channel, depth, row, column]) {
    const [depths, rows, columns] = this.size;
    return ((channel * depths + depth) * rows + row) * columns + column;
  }

  /** Whether any axis gives the cell this mark ("crop" or "extra"). */
  marked(cell, mark) {
    const [, ...places] = this.place(cell);
    return places.some((at, axis) => this.tracks[axis][mark][at]);
  }

  /** "real", "zero" (stuffed between inputs) or "pad" (around them). */
  kind(cell) {
    const [, ...places] = this.place(cell);
    const kinds = places.map((at, axis) => this.tracks[axis].kind[at] ?? "real");
    if (kinds.includes("pad")) return "pad";
    return kinds.includes("zero") ? "zero" : "real";
  }

  /** The cell's own name, such as "x[0,1,2]". */
  cellName(cell, dims) {
    if (this.kind(cell) !== "real") return this.kind(cell) === "pad" ? "a padded zero" : "a stuffed zero";
    const [channel, ...places] = this.place(cell);
    const labels = places.slice(3 - dims).map((at, axis) => this.tracks[3 - dims + axis].label[at]);
    return `${this.channels[channel].label},${labels.join(",")}]`;
  }
}

/** One window of a trace with the tensors around it. */
export class Scene {
  constructor(header, columns) {
    Object.assign(this, header);
    this.columns = columns;
    this.dims = header.dims;
    this.tensors = header.panels.map((spec) => new Panel(spec, columns[`values.${spec.name}`]));
    [this.input, this.weight, this.output, this.torch] = this.tensors;
    this.start = header.window.start;
    this.stop = header.window.stop;
    this.total = header.window.total;
    this.previous = this.#chain();
    this.torchCell = this.#torchCells();
    this.outputCell = new Int32Array(this.torch.cells);
    this.torchCell.forEach((there, cell) => there >= 0 && (this.outputCell[there] = cell));
    this.#indexPairs();
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

  /** Per output cell, its cell on torch's panel; -1 where padding crops it. */
  #torchCells() {
    const kept = this.output.tracks.map((track) => {
      let next = 0;
      return track.label.map((_, at) => (track.crop[at] ? -1 : next++));
    });
    return Int32Array.from({ length: this.output.cells }, (_, cell) => {
      const [channel, ...places] = this.output.place(cell);
      const at = places.map((place, axis) => kept[axis][place]);
      return at.includes(-1) ? -1 : this.torch.cell([channel, ...at]);
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

  /** Whether MAC number `number` is in this window. */
  has(number) {
    return number >= this.start && number < this.stop;
  }

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
    const marks = this.marks.filter((mark) => level < group || mark.bound === "group").map((mark) => mark.at);
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
  sentence(step, level, hides = () => false) {
    if (step === 0) return this.#opening();
    const row = step - 1 - this.start;
    const first = this.unitStart(row, level);
    if (first === row) return this.#macSentence(row, hides);
    const rows = Array.from({ length: row - first + 1 }, (_, at) => first + at);
    const kept = rows.filter((at) => this.kept(at)).length;
    const count = `${rows.length.toLocaleString("en")} MACs, ${kept.toLocaleString("en")} kept`;
    return `${this.#unitSubject(first, row, level)} (${count}); last: ${this.#macSentence(row, hides)}`;
  }

  #opening() {
    const { all, cropped } = this.macs;
    const crop = cropped ? `; padding crops ${cropped.toLocaleString("en")} of them` : "";
    return `${all.toLocaleString("en")} multiply-accumulates make this output${crop}. Press Play, or step with the right arrow.`;
  }

  #unitSubject(first, row, level) {
    const { x, w, y } = this.columns;
    const unit = this.units[Math.min(level, this.units.length - 1)];
    const input = this.input.cellName(x[first], this.dims);
    if (unit === "stamp" || unit === "tap row") {
      return `${input} = ${this.value("input", x[first])} stamps ${this.#span(this.weight, w[first], w[row])} onto ${this.#span(this.output, y[first], y[row])}`;
    }
    if (unit === "input value") return `${input} = ${this.value("input", x[first])} stamps every kernel of its group`;
    if (unit === "window" || unit === "output cell") {
      return `${this.output.cellName(y[first], this.dims)} collects its taps`;
    }
    if (unit === "all") return "Everything";
    const mark = this.marks.filter((m) => m.at <= this.start + first).at(-1);
    return mark ? `The ${unit} of ${mark.label}` : `One ${unit}`;
  }

  /** Two cells of a channel as one slice, such as "y[0,0,-2:1]". */
  #span(panel, first, last) {
    const [channel, ...from] = panel.place(first);
    const [, ...to] = panel.place(last);
    const parts = from.slice(3 - this.dims).map((at, axis) => {
      const { label } = panel.tracks[3 - this.dims + axis];
      const end = to[3 - this.dims + axis];
      return at === end ? label[at] : `${label[at]}..${label[end]}`;
    });
    return `${panel.channels[channel].label},${parts.join(",")}]`;
  }

  #macSentence(row, hides) {
    const { x, w, y, product, before, after } = this.columns;
    const [input, weight, output] = [
      this.input.cellName(x[row], this.dims),
      this.weight.cellName(w[row], this.dims),
      this.output.cellName(y[row], this.dims),
    ];
    if (hides(y[row])) {
      const from = `${input} * ${weight}`;
      if (this.kept(row)) return `${output} += ${from}: ${output} is hidden, to be predicted`;
      return `${output} is outside the output: ${from} is cropped by padding`;
    }
    const numbers = `${this.value("input", x[row])} * ${this.value("weight", w[row])}`;
    if (!this.kept(row)) {
      return `${output} is outside the output: ${input} * ${weight} = ${numbers} = ${format(product[row])} is cropped by padding`;
    }
    const sum = `${output} += ${input} * ${weight} = ${numbers}: ${format(before[row])} -> ${format(after[row])}`;
    return `${sum}${this.completes(row) ? this.#ending(y[row]) : ""}${this.#flippedPlace(w[row])}`;
  }

  /** When gathering: where the tap stands in the flipped kernel. */
  #flippedPlace(cell) {
    if (this.order !== "gather") return "";
    const [, ...places] = this.weight.place(cell);
    return `; in the flipped kernel this tap is at place ${places.slice(3 - this.dims).join(",")}`;
  }

  #ending(cell) {
    const bias = this.output.channels[this.output.place(cell)[0]].bias;
    const total = format(this.output.values[cell]);
    return bias === null ? ` (done: ${total})` : `, + bias ${format(Number(bias))} = ${total} (done)`;
  }

  /** A cell's number, as text. */
  value(panel, cell) {
    return format(this[panel].values[cell]);
  }

  /** An output cell's whole sum: what it is made of, term by term. */
  sumOf(cell) {
    const terms = this.termsOf(cell).map(({ x, w }) => ({
      x,
      w,
      names: `${this.input.cellName(x, this.dims)}*${this.weight.cellName(w, this.dims)}`,
      numbers: `${wrap(this.value("input", x))}*${wrap(this.value("weight", w))}`,
    }));
    const torchCell = this.torchCell[cell];
    return {
      name: this.output.cellName(cell, this.dims),
      terms,
      complete: this.all_terms,
      cropped: torchCell < 0,
      bias: this.output.channels[this.output.place(cell)[0]].bias,
      total: format(this.output.values[cell], 7),
      torch: torchCell < 0 || this.verdict.kind === "none" ? null : format(this.torch.values[torchCell], 7),
      agrees: torchCell >= 0 && this.columns.agrees[torchCell] === 1,
      extra: torchCell >= 0 && this.output.marked(cell, "extra"),
    };
  }

  /** A name for the same MAC in any scene of the same layer: its input value and its weight. */
  identity(row) {
    const { x, w } = this.columns;
    return `${this.input.cellName(x[row], this.dims)} ${this.weight.cellName(w[row], this.dims)}`;
  }

  /** The cell that a link names, such as "output:0,3,0"; null where it is not on screen. */
  find(text) {
    const [name, index] = text.split(":");
    const panel = this.tensors.find((tensor) => tensor.name === name);
    const letter = { input: "x", weight: "w" }[name] ?? "y";
    for (let cell = 0; cell < (panel?.cells ?? 0); cell += 1) {
      if (panel.cellName(cell, this.dims) === `${letter}[${index}]`) return { panel: name, cell };
    }
    return null;
  }

  /** A cell as a link names it; "" for a zero that the tensor does not hold. */
  linkName({ panel, cell }) {
    const tensor = this.tensors.find(({ name }) => name === panel);
    const name = tensor.cellName(cell, this.dims);
    return name.endsWith("]") ? `${panel}:${name.slice(2, -1)}` : "";
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

function push(map, key, value) {
  if (map.has(key)) map.get(key).push(value);
  else map.set(key, [value]);
}

/** The output as it fills: what every cell holds after a number of MACs. */
export class Filling {
  constructor(scene) {
    this.scene = scene;
    const { held, stage } = scene.columns;
    this.values = held.slice();
    this.stages = stage.slice();
    this.step = scene.start;
  }

  /** Go to a step of this window; return the output cells that changed. */
  go(step) {
    const changed = new Set();
    while (this.step < step) changed.add(this.#forward(this.step++ - this.scene.start));
    while (this.step > step) changed.add(this.#back(--this.step - this.scene.start));
    return changed;
  }

  #forward(row) {
    const cell = this.scene.columns.y[row];
    this.#set(cell, row);
    return cell;
  }

  #back(row) {
    const cell = this.scene.columns.y[row];
    const before = this.scene.previous[row];
    if (before >= 0) this.#set(cell, before);
    else {
      this.values[cell] = this.scene.columns.held[cell];
      this.stages[cell] = this.scene.columns.stage[cell];
    }
    return cell;
  }

  #set(cell, row) {
    const done = this.scene.completes(row);
    this.values[cell] = done ? this.scene.output.values[cell] : this.scene.columns.after[row];
    this.stages[cell] = done ? DONE : FILLING;
  }
}
