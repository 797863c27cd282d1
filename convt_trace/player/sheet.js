// One tensor on the page: a plotly heatmap for the colours, and over it an SVG with its numbers,
// names, indices and outlines.

import { Cursor } from "./cursor.js";
import { draw, make } from "./elements.js";
import { NUMBERS_FROM, spots } from "./layout.js";
import { number, short } from "./number.js";
import Plotly from "./plotly.js";

const MOST_NUMBERS = 900; // numbers on one sheet; more cannot be read, and cost time
export const GROUPS = 6; // colours for groups, in player.css
export const HIDDEN = Symbol("a number that is to be predicted");

/** One tensor: a plotly heatmap with block names and indices under it, marks and outlines over it. */
export class Sheet {
  /**
   * `picture` is what the sheet is part of; `looking` is told what is pointed at and clicked.
   * @param {import("./picture.js").Picture} picture
   * @param {import("./looking.js").Looking} looking
   * @param {import("./panel.js").Panel} panel
   */
  constructor(picture, looking, panel) {
    this.picture = picture;
    this.heat = make("div", { class: "ct-heat" });
    this.under = draw("svg", { class: "ct-under", "aria-hidden": "true" });
    this.over = draw("svg", { class: "ct-over", "aria-hidden": "true" });
    const parts = [this.under, this.heat, this.over];
    const hint = picture.hint.id;
    // A screen reader passes the keys on, as to a game; what it hears of a cell, `tell` says.
    this.body = make(
      "div",
      { class: "ct-sheet", role: "application", tabindex: 0, "aria-describedby": hint },
      ...parts,
    );
    this.caption = make("figcaption");
    this.figure = make("figure", { "data-panel": panel.name }, this.caption, this.body);
    this.over.onpointermove = (event) =>
      event.pointerType !== "touch" && looking.hover(this.pointed(event));
    this.over.onpointerleave = () => looking.hover(null);
    this.over.onclick = (event) => looking.pin(this.pointed(event));
    this.cursor = new Cursor(this, looking);
  }

  pointed(event) {
    const { left, top, width } = this.over.getBoundingClientRect();
    const zoom = width / this.laid.width || 1;
    const column = Math.floor(
      ((event.clientX - left) / zoom - this.laid.margin.left) / this.laid.cell,
    );
    const row = Math.floor((event.clientY - top) / zoom / this.laid.cell);
    const cell = this.cellAt.get(row * this.laid.columns + column);
    return cell === undefined || column < 0 ? null : { panel: this.panel.name, cell };
  }

  /** Place everything that no step changes. */
  lay(panel, laid) {
    this.panel = panel;
    this.laid = laid;
    this.places = spots(panel, laid);
    this.cellAt = new Map(
      [...this.places].map(([cell, [row, column]]) => [row * laid.columns + column, cell]),
    );
    this.figure.setAttribute("aria-label", `${panel.title}, shape ${panel.shape}`);
    this.body.setAttribute("aria-label", `cells of ${panel.title}`);
    this.held = new Map();
    this.caption.replaceChildren(make("b", {}, panel.title), " ", make("span", {}, panel.shape));
    const size = { width: `${laid.width}px`, height: `${laid.height}px` };
    Object.assign(this.body.style, size);
    Object.assign(this.heat.style, {
      left: `${laid.margin.left}px`,
      width: `${laid.columns * laid.cell}px`,
      height: `${laid.rows * laid.cell}px`,
    });
    for (const svg of [this.under, this.over]) {
      svg.setAttribute("width", laid.width);
      svg.setAttribute("height", laid.height);
    }
    this.#drawUnder();
    this.#drawOver();
    this.z = Array.from({ length: laid.rows }, () => Array(laid.columns).fill(null));
  }

  corner(cell) {
    const place = this.places.get(cell);
    return place && [this.laid.margin.left + place[1] * this.laid.cell, place[0] * this.laid.cell];
  }

  center(cell) {
    const corner = this.corner(cell);
    return corner && corner.map((at) => at + this.laid.cell / 2);
  }

  #drawUnder() {
    const { laid, panel } = this;
    const { cell, margin } = laid;
    const parts = [];
    const names = [];
    for (const block of laid.blocks) {
      const [left, top] = [margin.left + block.left * cell, block.top * cell];
      const [width, height] = [block.width * cell, block.height * cell];
      const channel = panel.channels[block.channel];
      const group = `ct-group-${channel.group % GROUPS}`;
      parts.push(draw("rect", { class: "ct-block", x: left, y: top, width, height }));
      if (panel.dims === 1) {
        parts.push(draw("rect", { class: group, x: 0, y: top + 1, width: 5, height: height - 2 }));
        // A line to another panel passes behind the name, not through it.
        names.push(
          draw("rect", {
            class: "ct-behind",
            x: 6,
            y: top + height / 2 - 8,
            width: margin.left - 8,
            height: 16,
          }),
          draw(
            "text",
            { class: "ct-name", x: margin.left - 6, y: top + height / 2 + 4, "text-anchor": "end" },
            `${channel.label}]`,
          ),
        );
      } else {
        const depth = panel.tracks[0].label[block.depth];
        const name = panel.dims === 3 ? `${channel.label},${depth ?? "·"}]` : `${channel.label}]`;
        const along = this.#groupsAlong(left, top);
        const bar = draw("rect", { class: group, x: left, y: top - 3, width, height: 3 });
        parts.push(...(along.length ? along : [bar]));
        const label = draw("text", { class: "ct-name", x: left, y: top - 6 });
        this.#fitName(label, name, width);
        names.push(label);
      }
    }
    this.under.replaceChildren(...parts, ...this.#ticks());
    this.names = names;
  }

  /** Bars above and left of a matrix of channels: the group of every column and row. */
  #groupsAlong(left, top) {
    const { laid, panel } = this;
    const { cell } = laid;
    const [, rows, columns] = panel.tracks.map((track) => track.group);
    const bar = (groups, place, box) =>
      draw("rect", { class: `ct-group-${groups[place] % GROUPS}`, ...box });
    if (!rows.length) return [];
    return [
      ...laid.columnPlaces.map((place, at) =>
        bar(columns, place, { x: left + at * cell, y: top - 4, width: cell, height: 3 }),
      ),
      ...laid.rowPlaces.map((place, at) =>
        bar(rows, place, { x: left - 4, y: top + at * cell, width: 3, height: cell }),
      ),
    ];
  }

  /** Write a block's name in the longest form that fits above it. */
  #fitName(label, name, width) {
    if (this.panel.isOneBlock) return;
    const forms = [name, name.slice(name.indexOf("[")), name.slice(name.indexOf("[") + 1, -1)];
    const short = forms.find((form) => form.length * 7.3 <= width + 6);
    label.textContent = short ?? forms[2];
    if (!short) label.setAttribute("class", "ct-name ct-small");
  }

  /** Index numbers: columns under the last block of each column of blocks, rows left of the first. */
  #ticks() {
    const { laid, panel } = this;
    const { cell, margin } = laid;
    const ticks = [];
    const write = (labels, size, at) => {
      const longest = Math.max(...labels.map((label) => String(label ?? "").length));
      const every = Math.max(1, Math.ceil(size(longest) / cell));
      const real = labels.findIndex((label) => label !== null);
      labels.forEach((label, place) => {
        if (label !== null && (place - real) % every === 0) ticks.push(at(place, label));
      });
    };
    const lowest = new Map(laid.blocks.map((block) => [block.left, block]));
    for (const block of lowest.values()) {
      const y = (block.top + block.height) * cell + 13;
      write(
        laid.columnPlaces.map((place) => panel.tracks[2].label[place]),
        (length) => length * 7 + 5,
        (place, label) =>
          draw(
            "text",
            {
              class: "ct-tick",
              x: margin.left + (block.left + place + 0.5) * cell,
              y,
              "text-anchor": "middle",
            },
            label,
          ),
      );
    }
    if (panel.dims === 1) return ticks;
    for (const block of laid.blocks.filter(({ left }) => left === 0)) {
      write(
        laid.rowPlaces.map((place) => panel.tracks[1].label[place]),
        () => 13,
        (place, label) =>
          draw(
            "text",
            {
              class: "ct-tick",
              x: margin.left - (panel.tracks[1].group.length ? 8 : 5),
              y: (block.top + place + 0.5) * cell + 4,
              "text-anchor": "end",
            },
            label,
          ),
      );
    }
    return ticks;
  }

  #drawOver() {
    const { cell } = this.laid;
    this.layers = Object.fromEntries(
      [...["crop", "real", "pad", "extra", "mark", "reach", "asked", "lit", "now", "cursor"]].map(
        (name) => [name, draw("path", { class: `ct-${name}` })],
      ),
    );
    const { crop, real, pad, extra, mark, reach, asked, lit, now, cursor } = this.layers;
    const cells = [...this.places.keys()];
    const where = (test) => this.outline(cells.filter(test));
    crop.setAttribute(
      "d",
      where((at) => this.panel.marked(at, "crop")),
    );
    pad.setAttribute("d", this.#withinPadding(cells));
    real.setAttribute(
      "d",
      // A plain convolution's input has no zeros between its values: the line around them is enough.
      !this.picture.scene.isConv && this.panel.tracks.some((track) => track.kind.length)
        ? where((at) => this.panel.kind(at) === "real")
        : "",
    );
    extra.setAttribute(
      "d",
      where((at) => this.panel.marked(at, "extra") && !this.panel.marked(at, "crop")),
    );
    crop.setAttribute("fill", `url(#${this.picture.hatch})`);
    this.font = this.picture.isLarge
      ? Math.round(cell / 2)
      : cell >= 36
        ? 15
        : cell >= 28
          ? 13
          : 11;
    this.over.style.fontSize = `${this.font}px`;
    this.numbers = new Map();
    if (cell >= NUMBERS_FROM && cells.length <= MOST_NUMBERS) {
      for (const at of cells) {
        const [x, y] = this.center(at);
        this.numbers.set(
          at,
          draw("text", { class: "ct-number", x, y: y + this.font * 0.36, "data-cell": at }),
        );
      }
    }
    this.over.replaceChildren(
      ...this.names,
      crop,
      real,
      pad,
      extra,
      ...this.numbers.values(),
      mark,
      reach,
      asked,
      lit,
      now,
      cursor,
    );
    this.cursor.draw();
  }

  /** A rectangle in every block around what padding's zeros surround. */
  #withinPadding(cells) {
    const boxes = new Map();
    for (const at of cells.filter((cell) => this.panel.kind(cell) !== "pad")) {
      const [channel, depth] = this.panel.place(at);
      const [x, y] = this.corner(at);
      const [left, top, right, bottom] = boxes.get(`${channel} ${depth}`) ?? [x, y, x, y];
      boxes.set(`${channel} ${depth}`, [
        Math.min(left, x),
        Math.min(top, y),
        Math.max(right, x),
        Math.max(bottom, y),
      ]);
    }
    if (!this.panel.tracks.some((track) => track.kind.includes("pad"))) return "";
    const size = this.laid.cell;
    return [...boxes.values()]
      .map(
        ([left, top, right, bottom]) => `M${left} ${top}H${right + size}V${bottom + size}H${left}z`,
      )
      .join("");
  }

  /** A path of squares around cells; hidden ones are left out. */
  outline(cells, inset = 0) {
    const size = this.laid.cell - 2 * inset;
    let path = "";
    for (const cell of cells) {
      const corner = this.corner(cell);
      if (corner) path += `M${corner[0] + inset} ${corner[1] + inset}h${size}v${size}h${-size}z`;
    }
    return path;
  }

  /** Write one cell's value; null empties it, and of a hidden one not even the colour shows. */
  write(cell, value) {
    const place = this.places.get(cell);
    if (!place) return;
    this.held.set(cell, value);
    const known = value !== null && value !== HIDDEN && Number.isFinite(Number(value));
    this.z[place[0]][place[1]] = known ? Number(value) : null;
    const number = this.numbers.get(cell);
    if (!number) return;
    const hollow = this.panel.kind(cell) !== "real" && this.panel.marked(cell, "crop");
    const text =
      value === null || hollow ? "" : value === HIDDEN ? this.#covered(cell) : this.#short(value);
    if (number.textContent !== text) number.textContent = text;
    // The margin that is cropped has a veil of the page's own colour, on which the page's ink is read.
    const plain = !known || this.panel.marked(cell, "crop");
    const dark = plain ? null : this.picture.scale.wantsDark(value, this.panel.limit);
    const tone = dark === null ? "" : dark ? "ct-on-light" : "ct-on-dark";
    number.setAttribute("class", `ct-number ${tone} ${this.#faint(cell)}`);
  }

  /** A cell and what it holds, in words. */
  tell(cell) {
    const value = this.held.get(cell) ?? null;
    const holds =
      value === null ? "is empty" : value === HIDDEN ? "is hidden" : `= ${number(value)}`;
    const cropped = this.panel.marked(cell, "crop") ? ", cropped by padding" : "";
    return `${this.panel.cellName(cell)} ${holds}${cropped}`;
  }

  #covered(cell) {
    return this.panel.marked(cell, "crop") ? "" : "?";
  }

  /** As much of a number as fits into a cell. */
  #short(value) {
    return short(value, Math.floor((this.laid.cell - 1) / (this.font * 0.56)));
  }

  #faint(cell) {
    return this.panel.marked(cell, "crop") || this.panel.kind(cell) !== "real" ? "ct-faint" : "";
  }

  writeAll(valueOf) {
    for (const cell of this.places.keys()) this.write(cell, valueOf(cell));
  }

  /** Draw the heatmap anew, with its size and colours. */
  paint() {
    const { laid, panel } = this;
    const trace = {
      type: "heatmap",
      z: this.z,
      zmin: -panel.limit,
      zmax: panel.limit,
      colorscale: this.picture.scale.plotly,
      showscale: false,
      hoverinfo: "skip",
      xgap: laid.gap,
      ygap: laid.gap,
    };
    const axis = { visible: false, fixedrange: true };
    const layout = {
      width: laid.columns * laid.cell,
      height: laid.rows * laid.cell,
      margin: { l: 0, r: 0, t: 0, b: 0 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { ...axis, range: [-0.5, laid.columns - 0.5] },
      yaxis: { ...axis, range: [laid.rows - 0.5, -0.5] },
    };
    return Plotly.react(this.heat, [trace], layout, { staticPlot: true });
  }

  /** Draw the values anew, nothing else. */
  repaint() {
    Plotly.restyle(this.heat, { z: [this.z] }, [0]);
  }
}
