// A tensor on screen: where its cells are, what they are called, and what kind each is.

/** A tensor on screen: channels of depth x rows x columns cells, numbered in that order. */
export class Panel {
  /**
   * @param {import("./message.d.ts").PanelSpec} spec
   * @param {any} values
   * @param {number} dims
   */
  constructor(spec, values, dims) {
    this.name = spec.name;
    this.title = spec.title;
    this.shape = spec.shape;
    this.limit = spec.limit;
    this.values = values;
    this.dims = dims;
    const letter = { input: "x", weight: "w" }[spec.name] ?? "y";
    this.channels = spec.channels.map((channel) => ({
      label: `${letter}[${channel.index}`,
      ...channel,
    }));
    /** Whether all of it is one block, whose cells have no first index in common. */
    this.isOneBlock = this.channels.length === 1 && this.channels[0].label.endsWith("[");
    this.isWeight = spec.channels.some((channel) => "in" in channel);
    this.tracks = spec.tracks.map((track) => ({
      kind: [],
      crop: [],
      extra: [],
      group: [],
      ...track,
      length: track.label.length,
    }));
    const [depth, rows, columns] = this.tracks.map((track) => track.length);
    this.size = [depth, rows, columns];
    this.perChannel = depth * rows * columns;
    this.cells = this.perChannel * this.channels.length;
  }

  /**
   * Cell number -> [channel, depth, row, column].
   * @param {number} cell
   */
  place(cell) {
    const [, rows, columns] = this.size;
    return [
      Math.floor(cell / this.perChannel),
      Math.floor((cell % this.perChannel) / (rows * columns)),
      Math.floor((cell % (rows * columns)) / columns),
      cell % columns,
    ];
  }

  /**
   * [channel, depth, row, column] -> cell number.
   * @param {number[]} place
   */
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

  /** The tracks of the tensor's own axes. */
  get ownTracks() {
    return this.tracks.slice(3 - this.dims);
  }

  /** The cell's index in the tensor, [0, 1, 2]; null for a zero that the tensor does not hold. */
  index(cell) {
    if (this.kind(cell) !== "real") return null;
    const [channel, ...places] = this.place(cell);
    const position = this.ownTracks.map((track, axis) => track.label[places[3 - this.dims + axis]]);
    return [...this.channels[channel].index, ...position];
  }

  /** The cell with this index in the tensor; null where it is not on screen. */
  cellOfIndex(index) {
    const first = index.slice(0, -this.dims);
    const channel = this.channels.findIndex((one) => String(one.index) === String(first));
    const places = this.ownTracks.map((track, axis) =>
      track.label.indexOf(index[first.length + axis]),
    );
    if (channel < 0 || places.includes(-1)) return null;
    return this.cell([channel, ...Array(3 - this.dims).fill(0), ...places]);
  }

  /** The cell's own name, such as "x[0,1,2]". */
  cellName(cell) {
    if (this.kind(cell) !== "real")
      return this.kind(cell) === "pad" ? "a padded zero" : "a stuffed zero";
    const { label, index } = this.channels[this.place(cell)[0]];
    const rest = this.index(cell).slice(index.length);
    return `${label}${this.isOneBlock ? "" : ","}${rest}]`;
  }
}
