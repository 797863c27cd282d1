// The player: panels of plotly heatmaps, what is drawn over them, and the controls.
// It asks the server for nothing but further windows of a long trace.

import { fit, NUMBERS_FROM, spots } from "./layout.js";
import Plotly from "./plotly.js";
import { Predict } from "./predict.js";
import { decode, DONE, EMPTY, Filling, format } from "./scene.js";

const SPEEDS = [1, 2, 4, 8, 15, 30, 60];
const MOST_NUMBERS = 900; // numbers on one sheet; more cannot be read, and cost time
const TERMS_SHOWN = 24;
const SVG = "http://www.w3.org/2000/svg";
const GROUPS = 6; // colours for groups, in player.css
const HIDDEN = Symbol("a number that is to be predicted");
const LARGER = [3, 2.5, 2.2, 2, 1.8, 1.6, 1.4, 1.2, 1]; // how much a presenter's picture grows, at best
const SEEN_FROM_AFAR = 34; // pixels of a cell before it grows

const HINTS = {
  point: "Point at an output cell to see its whole sum, at an input value to see where it goes; click to keep it.",
  tap: "Tap an output cell to see its whole sum, an input value to see where it goes; tap it again to let it go.",
};

const ICONS = {
  "First step": "M5 4v16M19 5l-10 7 10 7z",
  "Step back": "M16 5l-10 7 10 7z",
  Play: "M7 4l13 8-13 8z",
  Pause: "M7 4v16M17 4v16",
  "Step forward": "M8 5l10 7-10 7z",
  "Last step": "M19 4v16M5 5l10 7-10 7z",
};

const players = new WeakMap();

/** Mount a player on a Streamlit component, or give a mounted one its new data. */
export function mount({ data, parentElement, setTriggerValue }, options) {
  let player = players.get(parentElement);
  if (!player) {
    player = new Player(parentElement, options);
    players.set(parentElement, player);
  }
  player.ask = (number) => setTriggerValue("window", number);
  if (options.cells) player.tell = (cell) => setTriggerValue("cell", cell);
  player.report = (name, value) => setTriggerValue(name, value);
  player.receive(data);
  return () => player.leaveIfGone();
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

function icon(name) {
  const svg = draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  svg.append(draw("path", { d: ICONS[name] }));
  return svg;
}

function parseColor(text) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = text;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

function luminance([r, g, b]) {
  const [x, y, z] = [r, g, b].map((channel) => {
    const c = channel / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

/** The colours of values: negative - zero - positive, read off the style sheet. */
class Scale {
  constructor(element) {
    const style = getComputedStyle(element);
    const read = (name) => parseColor(style.getPropertyValue(name).trim());
    [this.negative, this.zero, this.positive] = ["--ct-negative", "--ct-zero", "--ct-positive"].map(read);
  }

  get plotly() {
    const rgb = ([r, g, b]) => `rgb(${r},${g},${b})`;
    return [
      [0, rgb(this.negative)],
      [0.5, rgb(this.zero)],
      [1, rgb(this.positive)],
    ];
  }

  /** A value's colour, [r, g, b], as plotly mixes it. */
  color(value, limit) {
    const share = Math.max(-1, Math.min(1, Number(value) / limit || 0));
    const end = share < 0 ? this.negative : this.positive;
    return this.zero.map((c, at) => Math.round(c + (end[at] - c) * Math.abs(share)));
  }

  /** Whether text on this value's colour has to be dark. */
  wantsDark(value, limit) {
    return luminance(this.color(value, limit)) > 0.179; // where black and white text contrast alike
  }
}

/** One tensor: a plotly heatmap with block names and indices under it, marks and outlines over it. */
class Sheet {
  constructor(player, panel) {
    this.player = player;
    this.heat = make("div", { class: "ct-heat" });
    this.under = draw("svg", { class: "ct-under", "aria-hidden": "true" });
    this.over = draw("svg", { class: "ct-over", "aria-hidden": "true" });
    this.body = make("div", { class: "ct-sheet" }, this.under, this.heat, this.over);
    this.caption = make("figcaption");
    this.figure = make("figure", { "data-panel": panel.name }, this.caption, this.body);
    this.over.onpointermove = (event) => event.pointerType !== "touch" && player.hover(this.pointed(event));
    this.over.onpointerleave = () => player.hover(null);
    this.over.onclick = (event) => player.pin(this.pointed(event));
  }

  pointed(event) {
    const { left, top, width } = this.over.getBoundingClientRect();
    const zoom = width / this.laid.width || 1;
    const column = Math.floor(((event.clientX - left) / zoom - this.laid.margin.left) / this.laid.cell);
    const row = Math.floor((event.clientY - top) / zoom / this.laid.cell);
    const cell = this.cellAt.get(row * this.laid.columns + column);
    return cell === undefined || column < 0 ? null : { panel: this.panel.name, cell };
  }

  /** Place everything that no step changes. */
  lay(panel, laid) {
    this.panel = panel;
    this.laid = laid;
    this.places = spots(panel, laid);
    this.cellAt = new Map([...this.places].map(([cell, [row, column]]) => [row * laid.columns + column, cell]));
    this.figure.setAttribute("aria-label", `${panel.title}, shape ${panel.shape}`);
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
    const { laid, panel, player } = this;
    const { cell, margin } = laid;
    const parts = [];
    const names = [];
    for (const block of laid.blocks) {
      const [left, top] = [margin.left + block.left * cell, block.top * cell];
      const [width, height] = [block.width * cell, block.height * cell];
      const channel = panel.channels[block.channel];
      const group = `ct-group-${channel.group % GROUPS}`;
      parts.push(draw("rect", { class: "ct-block", x: left, y: top, width, height }));
      if (player.scene.dims === 1) {
        parts.push(draw("rect", { class: group, x: 0, y: top + 1, width: 5, height: height - 2 }));
        // A line to another panel passes behind the name, not through it.
        names.push(
          draw("rect", { class: "ct-behind", x: 6, y: top + height / 2 - 8, width: margin.left - 8, height: 16 }),
          draw("text", { class: "ct-name", x: margin.left - 6, y: top + height / 2 + 4, "text-anchor": "end" }, `${channel.label}]`),
        );
      } else {
        const depth = panel.tracks[0].label[block.depth];
        const name = player.scene.dims === 3 ? `${channel.label},${depth ?? "·"}]` : `${channel.label}]`;
        parts.push(draw("rect", { class: group, x: left, y: top - 3, width, height: 3 }));
        const label = draw("text", { class: "ct-name", x: left, y: top - 6 });
        this.#fitName(label, name, width);
        names.push(label);
      }
    }
    this.under.replaceChildren(...parts, ...this.#ticks());
    this.names = names;
  }

  /** Write a block's name in the longest form that fits above it. */
  #fitName(label, name, width) {
    const forms = [name, name.slice(name.indexOf("[")), name.slice(name.indexOf("[") + 1, -1)];
    const short = forms.find((form) => form.length * 7.3 <= width + 6);
    label.textContent = short ?? forms[2];
    if (!short) label.setAttribute("class", "ct-name ct-small");
  }

  /** Index numbers: columns under the last block of each column of blocks, rows left of the first. */
  #ticks() {
    const { laid, panel, player } = this;
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
          draw("text", { class: "ct-tick", x: margin.left + (block.left + place + 0.5) * cell, y, "text-anchor": "middle" }, label),
      );
    }
    if (player.scene.dims === 1) return ticks;
    for (const block of laid.blocks.filter(({ left }) => left === 0)) {
      write(
        laid.rowPlaces.map((place) => panel.tracks[1].label[place]),
        () => 13,
        (place, label) =>
          draw("text", { class: "ct-tick", x: margin.left - 5, y: (block.top + place + 0.5) * cell + 4, "text-anchor": "end" }, label),
      );
    }
    return ticks;
  }

  #drawOver() {
    const { cell } = this.laid;
    this.layers = Object.fromEntries(
      ["crop", "real", "pad", "extra", "mark", "reach", "asked", "lit", "now"].map((name) => [name, draw("path", { class: `ct-${name}` })]),
    );
    const { crop, real, pad, extra, mark, reach, asked, lit, now } = this.layers;
    const cells = [...this.places.keys()];
    const where = (test) => this.outline(cells.filter(test));
    crop.setAttribute("d", where((at) => this.panel.marked(at, "crop")));
    pad.setAttribute("d", this.#withinPadding(cells));
    real.setAttribute("d", this.panel.tracks.some((track) => track.kind.length) ? where((at) => this.panel.kind(at) === "real") : "");
    extra.setAttribute("d", where((at) => this.panel.marked(at, "extra") && !this.panel.marked(at, "crop")));
    crop.setAttribute("fill", `url(#${this.player.hatch})`);
    this.font = this.player.isLarge ? Math.round(cell / 2) : cell >= 36 ? 15 : cell >= 28 ? 13 : 11;
    this.over.style.fontSize = `${this.font}px`;
    this.numbers = new Map();
    if (cell >= NUMBERS_FROM && cells.length <= MOST_NUMBERS) {
      for (const at of cells) {
        const [x, y] = this.center(at);
        this.numbers.set(at, draw("text", { class: "ct-number", x, y: y + this.font * 0.36, "data-cell": at }));
      }
    }
    this.over.replaceChildren(...this.names, crop, real, pad, extra, ...this.numbers.values(), mark, reach, asked, lit, now);
  }

  /** A rectangle in every block around what padding's zeros surround. */
  #withinPadding(cells) {
    const boxes = new Map();
    for (const at of cells.filter((cell) => this.panel.kind(cell) !== "pad")) {
      const [channel, depth] = this.panel.place(at);
      const [x, y] = this.corner(at);
      const [left, top, right, bottom] = boxes.get(`${channel} ${depth}`) ?? [x, y, x, y];
      boxes.set(`${channel} ${depth}`, [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)]);
    }
    if (!this.panel.tracks.some((track) => track.kind.includes("pad"))) return "";
    const size = this.laid.cell;
    return [...boxes.values()]
      .map(([left, top, right, bottom]) => `M${left} ${top}H${right + size}V${bottom + size}H${left}z`)
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
    const known = value !== null && value !== HIDDEN && Number.isFinite(Number(value));
    this.z[place[0]][place[1]] = known ? Number(value) : null;
    const number = this.numbers.get(cell);
    if (!number) return;
    const hollow = this.panel.kind(cell) !== "real" && this.panel.marked(cell, "crop");
    const text = value === null || hollow ? "" : value === HIDDEN ? this.#covered(cell) : this.#short(value);
    if (number.textContent !== text) number.textContent = text;
    const dark = known ? this.player.scale.wantsDark(value, this.panel.limit) : null;
    const tone = dark === null ? "" : dark ? "ct-on-light" : "ct-on-dark";
    number.setAttribute("class", `ct-number ${tone} ${this.#faint(cell)}`);
  }

  #covered(cell) {
    return this.panel.marked(cell, "crop") ? "" : "?";
  }

  /** The most digits that fit into a cell; nothing where even the shortest form does not. */
  #short(value) {
    const room = (this.laid.cell - 1) / (this.font * 0.56);
    for (let digits = 5; digits > 0; digits -= 1) {
      const text = format(value, digits);
      if (text.length <= room) return text;
    }
    return "";
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
      colorscale: this.player.scale.plotly,
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

/** One player on the page. */
class Player {
  constructor(parent, options) {
    this.options = options;
    this.scenes = new Map();
    this.scene = null;
    this.step = 0;
    this.unit = "MAC";
    this.speed = options.speed ?? 4;
    this.playing = false;
    this.showCrop = true;
    this.skipCropped = false;
    this.pinned = null;
    this.hovered = null;
    this.awaited = null;
    this.opened = null;
    this.zoom = 1;
    this.laid = false;
    this.hatch = `ct-hatch-${Math.random().toString(36).slice(2)}`;
    this.#build(parent);
    this.ready = loadStyle(parent, options.style);
    this.onKey = (event) => this.#key(event);
    document.addEventListener("keydown", this.onKey);
    this.sized = new ResizeObserver(() => this.#resized());
    this.sized.observe(this.root);
  }

  leaveIfGone() {
    setTimeout(() => {
      if (this.root.isConnected) return;
      this.playing = false;
      document.removeEventListener("keydown", this.onKey);
      this.sized.disconnect();
    });
  }

  // -- building -------------------------------------------------------------------------------

  #build(parent) {
    const button = (name, run) =>
      make("button", { type: "button", "aria-label": name, title: `${name} (${KEYS[name]})`, onclick: run }, icon(name));
    this.playButton = button("Play", () => this.toggle());
    this.slider = make("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step" });
    this.slider.oninput = () => this.seek(Number(this.slider.value));
    this.marks = make("div", { class: "ct-marks", "aria-hidden": "true" });
    this.readout = make("span", { class: "ct-readout" });
    this.unitSelect = make("select", { "aria-label": "Unit of a step" });
    this.unitSelect.onchange = () => this.#setUnit(this.unitSelect.value);
    this.speedSelect = make(
      "select",
      { "aria-label": "Speed" },
      ...SPEEDS.map((speed) => make("option", { value: speed, selected: speed === this.speed }, `${speed} step${speed > 1 ? "s" : ""}/s`)),
    );
    this.speedSelect.onchange = () => (this.speed = Number(this.speedSelect.value));
    this.cropBox = this.#check("Cropped margin", true, (on) => {
      this.showCrop = on;
      this.#layAll();
    });
    this.skipBox = this.#check("Skip cropped", false, (on) => (this.skipCropped = on));
    this.hideSelect = make(
      "select",
      { "aria-label": "Hide the output, to predict it" },
      ...Object.entries(HIDES).map(([value, text]) => make("option", { value }, text)),
    );
    this.hideSelect.onchange = () => this.#hideBy(this.hideSelect.value);
    this.shareButton = make("button", { type: "button", class: "ct-share", hidden: true, onclick: () => this.#share() }, "Share");
    this.predict = new Predict(make, {
      changed: () => this.#recolour(),
      aimed: () => this.laid && this.#light(),
      ended: () => this.#hide(null),
    });
    this.sentence = make("p", { class: "ct-sentence", role: "status" });
    this.note = make("p", { class: "ct-note" });
    this.verdict = make("p", { class: "ct-verdict" });
    this.stage = make("div", { class: "ct-stage" });
    this.links = draw("svg", { class: "ct-links", "aria-hidden": "true" });
    this.detail = make("div", { class: "ct-detail", "aria-live": "polite" });
    this.legend = make("div", { class: "ct-legend" });
    this.root = make(
      "section",
      { class: "ct-player", "aria-label": "Step-by-step player", hidden: true },
      make(
        "div",
        { class: "ct-bar" },
        make(
          "div",
          { class: "ct-buttons" },
          button("First step", () => this.seek(0)),
          button("Step back", () => this.back()),
          this.playButton,
          button("Step forward", () => this.forward()),
          button("Last step", () => this.seek(this.scene.total)),
        ),
        make("div", { class: "ct-scrub" }, this.marks, this.slider),
        this.readout,
        this.shareButton,
      ),
      make(
        "div",
        { class: "ct-options" },
        make("label", {}, "One step is a ", this.unitSelect),
        make("label", {}, "Speed ", this.speedSelect),
        this.cropBox,
        this.skipBox,
        // A page that answers for cells has said what would be predicted.
        make("label", { hidden: Boolean(this.options.cells) }, "Predict ", this.hideSelect),
        make("span", { class: "ct-keys" }, ...keyHints()),
      ),
      this.sentence,
      this.predict.element,
      this.stage,
      this.verdict,
      this.detail,
      this.legend,
      this.note,
    );
    const defs = draw("svg", { class: "ct-defs", "aria-hidden": "true", width: 0, height: 0 });
    const pattern = draw("pattern", { id: this.hatch, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    pattern.append(draw("rect", { class: "ct-veil", width: 6, height: 6 }), draw("line", { class: "ct-hatching", x1: 0, y1: 0, x2: 0, y2: 6 }));
    defs.append(pattern);
    this.root.append(defs);
    parent.append(this.root);
  }

  #check(name, checked, run) {
    const box = make("input", { type: "checkbox", checked });
    box.onchange = () => run(box.checked);
    return make("label", {}, box, ` ${name}`);
  }

  // -- data -----------------------------------------------------------------------------------

  /** Take one message: a new case, or a further window of the one on screen. */
  async receive(message) {
    const scene = decode(message);
    await this.ready;
    this.root.hidden = false;
    const key = JSON.stringify([scene.case, scene.order, scene.total, scene.tensors.map((panel) => panel.channels)]);
    const opening = this.#openingOf(scene);
    if (key === this.key) {
      this.scenes.set(scene.start, scene);
      if (opening) this.#open(opening);
      else if (this.awaited !== null && holds(scene, this.awaited)) this.seek(this.awaited);
      this.#recolour();
      return;
    }
    this.key = key;
    this.asked = null;
    const step = this.#meaningfulStep(scene);
    this.scenes = new Map([[scene.start, scene]]);
    this.awaited = null;
    // What is hidden is hidden before anything is drawn.
    const hide = opening ? opening.hide : this.predict.from === 0 ? 0 : null;
    const shown = this.predict.on && hide === null;
    this.laid = false;
    this.#startHiding(scene, hide, null);
    this.#show(scene);
    this.#frame();
    if (opening) this.#open(opening);
    else this.seek(step);
    if (!opening && shown) this.report("hide", { from: null });
  }

  /** How to open, where the message says so and for the first time. */
  #openingOf({ opening }) {
    this.look(opening);
    if (!opening || opening.key === this.opened) return null;
    this.opened = opening.key;
    return opening;
  }

  /** Show what belongs to the page: its Share button, and large type for a presenter. */
  look({ look = "full", share = false } = {}) {
    this.shareButton.hidden = !share;
    this.root.classList.toggle("ct-large", look === "presenter");
  }

  /** Stand where a link says: step, unit, selected cell, and what is hidden. */
  #open({ step, unit, cell, hide }) {
    this.#stop();
    this.unit = this.scene.units.includes(unit) ? unit : "MAC";
    this.unitSelect.value = this.unit;
    const selected = cell ? this.scene.find(cell) : null;
    this.#startHiding(this.scene, hide, selected);
    this.#recolour();
    this.seek(step);
    this.pinned = selected;
    this.#light();
  }

  /** Tell the page what is on screen; only when somebody asks for it. */
  #share() {
    const cell = this.pinned ? this.scene.linkName(this.pinned) : "";
    this.report("share", { step: this.step, unit: this.unit, cell, hide: this.predict.from });
  }

  // -- predicting -----------------------------------------------------------------------------

  #hideBy(choice) {
    this.#hide({ no: null, all: 0, on: Math.max(this.step, 1) }[choice]);
    if (choice !== "no") this.predict.input.focus();
  }

  /** Hide the output from a step on; the page is told, for it may show numbers of its own. */
  #hide(from) {
    if (from === this.predict.from) return;
    this.#startHiding(this.scene, from, this.pinned);
    this.report("hide", { from });
    this.#recolour();
    this.#say();
    this.#light();
  }

  #startHiding(scene, from, selected) {
    const target = selected && ["output", "torch"].includes(selected.panel) ? this.#asOutput(selected).cell : null;
    this.predict.start(scene, from, target);
    this.hideSelect.value = from === null ? "no" : from === 0 ? "all" : "on";
    this.hideSelect.options[2].textContent = from ? `from ${from.toLocaleString("en")} on` : HIDES.on;
  }

  /** Where to stand in a new scene: at the same MAC, if it still has one. */
  #meaningfulStep(scene) {
    const old = this.scene;
    if (!old) return 0;
    if (old.order !== scene.order && this.step > 0 && this.step < old.total && this.step > old.start) {
      return scene.stepOf(old.identity(this.step - 1 - old.start)) ?? 0;
    }
    const same = old.total === scene.total && String(old.sizes) === String(scene.sizes);
    if (!same) this.#stop();
    return same ? this.step : 0;
  }

  /** Put a scene on the page. */
  #show(scene) {
    const before = this.scene;
    this.scene = scene;
    this.filling = new Filling(scene);
    this.scale = new Scale(this.root);
    this.pinned = null;
    this.hovered = null;
    this.laid = false;
    if (this.predict.on) this.predict.show(scene);
    if (!before || before.tensors.length !== scene.tensors.length) {
      this.sheets = scene.tensors.map((panel) => new Sheet(this, panel));
      this.stage.replaceChildren(...this.sheets.map((sheet) => sheet.figure), this.links);
    }
    this.#layAll();
  }

  /** Set the controls to the scene: range, marks, units, notes. */
  #frame() {
    const { scene } = this;
    this.slider.max = scene.total;
    const bounds = scene.marks.map((mark) => {
      const bound = make("i", { class: `ct-${mark.bound}-mark`, title: mark.label });
      bound.style.left = `${(100 * mark.at) / Math.max(scene.total, 1)}%`;
      return bound;
    });
    this.marks.replaceChildren(...bounds);
    const units = scene.units.filter((unit) => unit !== "tap row" || scene.dims > 1);
    if (!units.includes(this.unit)) this.unit = "MAC";
    this.unitSelect.replaceChildren(...units.map((unit) => make("option", { value: unit, selected: unit === this.unit }, unit)));
    const any = scene.macs.cropped > 0;
    this.cropBox.hidden = this.skipBox.hidden = !any;
    this.#legend();
  }

  #legend() {
    const { scene } = this;
    const key = (swatch, text) => make("span", { class: "ct-key" }, make("i", { class: swatch }), text);
    const has = (mark) => scene.tensors.some((panel) => panel.tracks.some((track) => track[mark].some(Boolean)));
    const kinds = scene.input.tracks.flatMap((track) => track.kind);
    const parts = [make("span", { class: "ct-key" }, "negative", make("i", { class: "ct-ramp" }), "positive")];
    parts.push(key("ct-key-now", "this step"), key("ct-key-lit", "selected cell"));
    if (scene.order === "gather" && kinds.includes("pad")) parts.push(key("ct-key-pad", "outside it: padded zeros"));
    if (has("crop")) parts.push(key("ct-key-crop", "cropped by padding"));
    if (has("extra")) parts.push(key("ct-key-extra", "added by output_padding"));
    const groups = [...new Set(scene.input.channels.map((channel) => channel.group))];
    if (groups.length > 1) {
      parts.push(...groups.map((group) => key(`ct-key-group ct-group-${group % GROUPS}`, `group ${group}`)));
    }
    this.legend.replaceChildren(...parts);
  }

  // -- layout ---------------------------------------------------------------------------------

  #resized() {
    const width = this.root.clientWidth;
    if (!this.scene || !width || width === this.laidWidth) return;
    requestAnimationFrame(() => this.#layAll());
  }

  #layAll() {
    const { scene } = this;
    this.laidWidth = this.root.clientWidth;
    this.zoom = 1;
    const laid = this.isLarge ? this.#large() : fit(scene.tensors, scene.dims, this.#box(1), this.showCrop);
    this.stage.style.zoom = this.zoom;
    this.sheets.forEach((sheet, at) => sheet.lay(scene.tensors[at], laid[at]));
    this.#recolour();
    this.links.setAttribute("width", this.stage.clientWidth);
    this.links.setAttribute("height", this.stage.scrollHeight);
    this.laid = true;
    this.#outline();
    this.#light();
  }

  get isLarge() {
    return this.root.classList.contains("ct-large");
  }

  #box(zoom) {
    const narrow = this.laidWidth < 600;
    const room = this.isLarge ? window.innerHeight - 320 : Math.min(620, window.innerHeight - 330);
    const height = narrow ? 620 * zoom : Math.max(300, room);
    return { width: (this.laidWidth - 2) / zoom, height: height / zoom };
  }

  /** The picture as large as it can be with cells that are seen from afar. */
  #large() {
    for (const zoom of LARGER) {
      this.zoom = zoom;
      const laid = fit(this.scene.tensors, this.scene.dims, this.#box(zoom), this.showCrop);
      if (zoom === 1 || laid.every(({ cell }) => cell >= SEEN_FROM_AFAR)) return laid;
    }
  }

  get sheetOf() {
    return Object.fromEntries(this.sheets.map((sheet) => [sheet.panel.name, sheet]));
  }

  #recolour() {
    if (!this.scene) return;
    const paper = getComputedStyle(this.root).getPropertyValue("--ct-paper").trim();
    this.root.classList.toggle("ct-night", luminance(parseColor(paper)) < 0.2);
    this.scale = new Scale(this.root);
    for (const sheet of this.sheets) {
      const { values } = sheet.panel;
      const ofCell = {
        output: (cell) => this.#held(cell),
        torch: (cell) => (this.predict.hides(this.scene.outputCell[cell]) ? HIDDEN : this.#torchs(values[cell])),
      }[sheet.panel.name];
      sheet.writeAll(ofCell ?? ((cell) => values[cell]));
      sheet.paint();
    }
    this.#tick();
    this.#sayVerdict();
  }

  /** A number of torch's; null where torch's result is not computed. */
  #torchs(value) {
    return this.scene.verdict.kind === "none" ? null : value;
  }

  #sayVerdict() {
    const { verdict } = this.scene;
    const hidden = this.predict.hidesAny;
    this.verdict.textContent = hidden ? "torch's output is hidden too, until it is predicted." : verdict.text;
    this.verdict.dataset.kind = hidden ? "hidden" : verdict.kind;
  }

  #held(cell) {
    if (this.predict.covers(cell, this.step)) return HIDDEN;
    if (this.predict.isSolved(cell)) return this.scene.output.values[cell];
    return this.filling.stages[cell] === EMPTY ? null : this.filling.values[cell];
  }

  // -- stepping -------------------------------------------------------------------------------

  get level() {
    return this.scene.units.indexOf(this.unit);
  }

  #setUnit(unit) {
    this.unit = unit;
    this.#outline();
    this.#say();
  }

  #nextUnit() {
    const { options } = this.unitSelect;
    const next = options[(this.unitSelect.selectedIndex + 1) % options.length];
    next.selected = true;
    this.#setUnit(next.value);
  }

  forward() {
    let to = this.scene.next(this.step, this.level);
    if (this.level >= this.scene.units.indexOf("all")) to = this.scene.total;
    while (this.skipCropped && to < this.scene.stop && !this.#keepsAny(this.step, to)) to = this.scene.next(to, this.level);
    this.seek(Math.min(to, this.scene.total));
  }

  back() {
    let to = this.level >= this.scene.units.indexOf("all") ? 0 : this.scene.back(this.step, this.level);
    while (this.skipCropped && to > this.scene.start && !this.#keepsAny(this.scene.back(to, this.level), to)) {
      to = this.scene.back(to, this.level);
    }
    this.seek(Math.max(to, 0));
  }

  #keepsAny(from, to) {
    for (let at = from; at < to; at += 1) if (this.scene.has(at) && this.scene.kept(at - this.scene.start)) return true;
    return false;
  }

  /** Go to a step; ask for its window where it is not here yet. */
  seek(step) {
    let target = Math.max(0, Math.min(step, this.scene.total));
    target = this.options.reach?.(target, this.step) ?? target; // a page on its own may not hold all
    if (!holds(this.scene, target)) {
      const there = [...this.scenes.values()].find((scene) => holds(scene, target));
      if (!there) {
        this.awaited = target;
        this.slider.value = target;
        this.note.textContent = `Fetching MAC ${target.toLocaleString("en")} …`;
        this.ask(Math.max(target - 1, 0));
        return;
      }
      this.#show(there);
    }
    this.awaited = null;
    this.step = target;
    const changed = this.filling.go(target);
    const { output } = this.sheetOf;
    // At the step from which on the output is hidden, all of it changes.
    for (const cell of this.predict.on ? output.places.keys() : changed) output.write(cell, this.#held(cell));
    if (changed.size) {
      output.repaint();
      this.#tick();
    }
    this.#outline();
    this.#say();
    this.#fetchAhead();
  }

  #fetchAhead() {
    const { scene, step } = this;
    const near = step - scene.start > 0.6 * (scene.stop - scene.start);
    if (!near || scene.stop >= scene.total || this.scenes.has(scene.stop) || this.asked === scene.stop) return;
    this.asked = scene.stop;
    this.ask(scene.stop);
  }

  toggle() {
    if (this.playing) this.#stop();
    else this.#play();
  }

  #play() {
    if (this.step >= this.scene.total) this.seek(0);
    this.playing = true;
    this.#showPlaying();
    let due = performance.now();
    const tick = (now) => {
      if (!this.playing) return;
      if (now >= due && this.awaited === null) {
        this.forward();
        due = Math.max(due + 1000 / this.speed, now);
        if (this.step >= this.scene.total) this.#stop();
      }
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  #stop() {
    this.playing = false;
    this.#showPlaying();
    if (this.scene) this.#say();
  }

  #showPlaying() {
    const name = this.playing ? "Pause" : "Play";
    this.playButton.setAttribute("aria-label", name);
    this.playButton.title = `${name} (Space)`;
    this.playButton.replaceChildren(icon(name));
    // A screen reader is told each step when stepping; while playing it would never end.
    this.sentence.setAttribute("aria-live", this.playing ? "off" : "polite");
  }

  // -- saying and outlining -------------------------------------------------------------------

  #say() {
    const { scene, step } = this;
    this.slider.value = step;
    const at = `MAC ${step.toLocaleString("en")} of ${scene.total.toLocaleString("en")}`;
    this.slider.setAttribute("aria-valuetext", at);
    this.readout.textContent = at;
    const row = step - 1 - scene.start;
    this.sentence.textContent = scene.sentence(step, this.level, (cell) => this.predict.covers(cell, step));
    this.sentence.classList.toggle("ct-dropped", step > 0 && !scene.kept(row));
    this.#sayWindow();
  }

  #sayWindow() {
    const { scene } = this;
    const parts = [];
    if (scene.macs.hidden > 0) {
      parts.push(
        `Walking through ${scene.total.toLocaleString("en")} of the layer's ${scene.macs.all.toLocaleString("en")} MACs: those of the channels shown. Sums hold all of them.`,
      );
    }
    if (scene.stop - scene.start < scene.total) {
      parts.push(`Loaded: MACs ${(scene.start + 1).toLocaleString("en")} to ${scene.stop.toLocaleString("en")}.`);
    }
    this.note.textContent = parts.join(" ");
  }

  #outline() {
    const { scene, step } = this;
    const { input, weight, output } = this.sheetOf;
    for (const sheet of this.sheets) for (const name of ["now", "reach"]) sheet.layers[name].setAttribute("d", "");
    if (step <= scene.start || !scene.has(step - 1)) {
      this.links.replaceChildren();
      return;
    }
    const row = step - 1 - scene.start;
    const first = scene.unitStart(row, this.level);
    const cells = (column) => [...new Set(scene.columns[column].subarray(first, row + 1))];
    for (const [sheet, column] of [
      [input, "x"],
      [weight, "w"],
      [output, "y"],
    ]) {
      const list = cells(column);
      sheet.layers.now.setAttribute("d", list.length > 2000 ? "" : sheet.outline(list, 1));
      sheet.layers.now.style.strokeWidth = list.length > 1 ? Math.min(2, sheet.laid.cell / 10) : 3;
    }
    if (first === row) this.#outlineReach(row);
    this.#link(row);
  }

  /** Outline what the step belongs to: the stamp on the output, or the kernel's window on the input. */
  #outlineReach(row) {
    const { scene } = this;
    const { input, output, weight } = this.sheetOf;
    const [x, w, y] = ["x", "w", "y"].map((column) => scene.columns[column][row]);
    const [channel] = scene.weight.place(w);
    const sameKernel = (term) => scene.weight.place(term.w)[0] === channel;
    if (scene.order === "scatter") {
      const stamp = scene.usesOf(x).filter(sameKernel);
      output.layers.reach.setAttribute("d", output.outline(stamp.map((term) => term.y), 3));
      weight.layers.reach.setAttribute("d", weight.outline(stamp.map((term) => term.w), 3));
      return;
    }
    // The window that the flipped kernel covers, zeros included, starts at the output cell's place.
    const [, ...from] = scene.output.place(y);
    const span = scene.input.size.map((size, axis) => size - scene.output.size[axis] + 1);
    const block = scene.input.place(x)[0];
    const covered = [];
    for (let d = 0; d < span[0]; d += 1)
      for (let r = 0; r < span[1]; r += 1)
        for (let c = 0; c < span[2]; c += 1) covered.push(scene.input.cell([block, from[0] + d, from[1] + r, from[2] + c]));
    input.layers.reach.setAttribute("d", input.outline(covered, 3));
    const taps = scene.termsOf(y).filter(sameKernel);
    weight.layers.reach.setAttribute("d", weight.outline(taps.map((term) => term.w), 3));
  }

  /** Join the input value and the tap to the output cell. */
  #link(row) {
    const { scene } = this;
    const at = (sheet, cell) => {
      const center = sheet.center(cell);
      return center && [center[0] + sheet.body.offsetLeft, center[1] + sheet.body.offsetTop];
    };
    const { input, weight, output } = this.sheetOf;
    const from = at(input, scene.columns.x[row]);
    const tap = at(weight, scene.columns.w[row]);
    const to = at(output, scene.columns.y[row]);
    if (!from || !tap || !to) {
      this.links.replaceChildren();
      return;
    }
    const kept = scene.kept(row);
    const path = join(from, tap, input.laid.cell, weight.laid.cell) + join(tap, to, weight.laid.cell, output.laid.cell);
    const parts = [
      draw("path", { class: "ct-link-halo", d: path }),
      draw("path", { class: `ct-link ${kept ? "" : "ct-dropped"}`, d: path }),
    ];
    if (!kept) {
      const [x, y] = to;
      parts.push(draw("path", { class: "ct-cross", d: `M${x - 6} ${y - 6}l12 12M${x + 6} ${y - 6}l-12 12` }));
    }
    this.links.replaceChildren(...parts);
  }

  /** Tick torch's cells that the output has reached and agrees with. */
  #tick() {
    const { torch } = this.sheetOf;
    const { cell } = torch.laid;
    const { scene } = this;
    const corner = Math.max(3, cell / 4);
    torch.layers.mark.classList.toggle("ct-filled", cell < 30);
    let path = "";
    for (let at = 0; at < scene.output.cells; at += 1) {
      const there = scene.torchCell[at];
      const done = this.filling.stages[at] === DONE || this.predict.isSolved(at);
      if (there < 0 || !done || !scene.columns.agrees[there] || this.predict.hides(at)) continue;
      const [x, y] = torch.corner(there);
      path +=
        cell >= 30 ? `M${x + cell - 10} ${y + 6}l2.5 3 4.5 -5.5` : `M${x + cell - corner} ${y}h${corner}v${corner}z`;
    }
    torch.layers.mark.setAttribute("d", path);
  }

  // -- looking at a cell ----------------------------------------------------------------------

  hover(target) {
    if (sameCell(target, this.hovered)) return;
    this.hovered = target;
    if (!this.pinned) this.#light();
  }

  pin(target) {
    this.pinned = sameCell(target, this.pinned) ? null : target;
    const { panel, cell } = this.pinned ? this.#asOutput(this.pinned) : {};
    if (panel === "output" && this.predict.hides(cell) && this.scene.torchCell[cell] >= 0) this.predict.aim(cell);
    this.#light();
    if (panel === "output") this.tell?.(this.scene.output.cellName(cell, this.scene.dims));
  }

  #light() {
    const target = this.pinned ?? this.hovered;
    for (const sheet of this.sheets) sheet.layers.lit.setAttribute("d", "");
    this.#outlineAsked();
    this.root.classList.toggle("ct-pinned", this.pinned !== null);
    if (!target) {
      this.detail.replaceChildren(
        make("p", { class: "ct-hint" }, HINTS[matchMedia("(hover: none)").matches ? "tap" : "point"]),
      );
      return;
    }
    const { panel, cell } = this.#asOutput(target);
    if (panel === "output") this.#lightOutput(cell);
    else if (panel === "input") this.#lightInput(cell);
    else this.#lightWeight(cell);
  }

  /** Outline the cell to be predicted, and what its hints name. */
  #outlineAsked() {
    const { input, weight, output, torch } = this.sheetOf;
    const { target, hinted } = this.predict;
    const asked = this.predict.on && target !== null && this.predict.hides(target) ? [target] : [];
    output.layers.asked.setAttribute("d", output.outline(asked, 2));
    torch.layers.asked.setAttribute("d", torch.outline(asked.map((cell) => this.scene.torchCell[cell]), 2));
    input.layers.asked.setAttribute("d", asked.length ? input.outline(hinted.inputs, 2) : "");
    weight.layers.asked.setAttribute("d", asked.length ? weight.outline(new Set(hinted.taps), 2) : "");
  }

  /** A cell of torch's panel stands for the same cell of the output. */
  #asOutput({ panel, cell }) {
    return panel === "torch" ? { panel: "output", cell: this.scene.torchCell.indexOf(cell) } : { panel, cell };
  }

  #lit(name, cells) {
    const sheet = this.sheetOf[name];
    sheet.layers.lit.setAttribute("d", sheet.outline(new Set(cells), 1));
  }

  #lightOutput(cell) {
    if (this.predict.hides(cell)) {
      this.#lightHidden(cell);
      return;
    }
    const sum = this.scene.sumOf(cell);
    this.#lit("input", sum.terms.map((term) => term.x));
    this.#lit("weight", sum.terms.map((term) => term.w));
    this.#lit("output", [cell]);
    if (!sum.cropped) this.#lit("torch", [this.scene.torchCell[cell]]);
    this.detail.replaceChildren(...describeSum(sum), this.#pinHint());
  }

  #lightHidden(cell) {
    const there = this.scene.torchCell[cell];
    this.#lit("output", [cell]);
    if (there >= 0) this.#lit("torch", [there]);
    const name = this.scene.output.cellName(cell, this.scene.dims);
    const asks = cell === this.predict.target ? "type what it will be" : "click it to predict it";
    const said = there < 0 ? " is cropped by padding." : ` is hidden: ${asks}.`;
    this.detail.replaceChildren(make("p", {}, make("b", {}, name), said));
  }

  #lightInput(cell) {
    const { scene } = this;
    const uses = scene.usesOf(cell);
    this.#lit("input", [cell]);
    this.#lit("weight", uses.map((use) => use.w));
    this.#lit("output", uses.map((use) => use.y));
    const kept = uses.filter((use) => scene.torchCell[use.y] >= 0);
    this.#lit("torch", kept.map((use) => scene.torchCell[use.y]));
    const name = scene.input.cellName(cell, scene.dims);
    const goes = kept.slice(0, TERMS_SHOWN).map((use) => {
      return `${scene.output.cellName(use.y, scene.dims)} (times ${scene.weight.cellName(use.w, scene.dims)} = ${scene.value("weight", use.w)})`;
    });
    if (kept.length > TERMS_SHOWN) goes.push(`… ${kept.length - TERMS_SHOWN} more`);
    const cropped = uses.length - kept.length;
    this.detail.replaceChildren(
      make("p", {}, make("b", {}, `${name} = ${scene.value("input", cell)}`), ` goes to ${kept.length} output cell${kept.length === 1 ? "" : "s"} shown`, cropped ? `; ${cropped} more are cropped` : "", "."),
      make("p", { class: "ct-sum" }, goes.join(", ")),
      this.#pinHint(),
    );
  }

  #lightWeight(cell) {
    const { scene } = this;
    const channel = scene.weight.channels[scene.weight.place(cell)[0]];
    this.#lit("weight", [cell]);
    this.detail.replaceChildren(
      make(
        "p",
        {},
        make("b", {}, `${scene.weight.cellName(cell, scene.dims)} = ${scene.value("weight", cell)}`),
        ` joins input channel ${channel.in} to output channel ${channel.out}, in group ${channel.group}.`,
      ),
      this.#pinHint(),
    );
  }

  #pinHint() {
    return make("p", { class: "ct-hint" }, this.pinned ? "Kept: click it again, or press Esc, to let go." : "Click to keep it.");
  }

  // -- keys -----------------------------------------------------------------------------------

  #key(event) {
    if (!this.scene || !this.root.isConnected || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.composedPath()[0];
    if (!this.root.contains(target) && target.closest(BUSY)) return;
    if (target.type === "text" && event.key !== "Escape") return; // an answer is being typed
    if (target.tagName === "SELECT" || (event.key === " " && /BUTTON|INPUT/.test(target.tagName) && target !== this.slider)) return;
    const run = {
      " ": () => this.toggle(),
      ArrowRight: () => this.forward(),
      ArrowLeft: () => this.back(),
      Home: () => this.seek(0),
      End: () => this.seek(this.scene.total),
      Escape: () => this.pin(null),
      h: !this.options.cells && (() => this.#hideBy(this.predict.on ? "no" : this.step ? "on" : "all")),
      u: () => this.#nextUnit(),
    }[event.key.length > 1 ? event.key : event.key.toLowerCase()];
    if (!run) return;
    event.preventDefault();
    event.stopPropagation();
    run();
  }
}

/** What else on the page takes keys for itself. */
const BUSY = `input, textarea, select, button, a[href], summary, [contenteditable="true"], canvas, ${[
  "slider",
  "combobox",
  "textbox",
  "radio",
  "tab",
  "button",
  "option",
  "grid",
  "dialog",
]
  .map((role) => `[role="${role}"]`)
  .join(", ")}`;

/** What may be hidden. */
const HIDES = { no: "off", all: "all of it", on: "from here on" };

const KEYS = {
  "First step": "Home",
  "Step back": "←",
  Play: "Space",
  "Step forward": "→",
  "Last step": "End",
};

function keyHints() {
  const hints = [
    ["Space", "play"],
    ["← →", "step"],
    ["Home End", "ends"],
    ["U", "unit"],
    ["H", "hide"],
  ];
  const seen = hints.map(([key, does]) => make("span", {}, make("kbd", {}, key), ` ${does} `));
  for (const more of seen.slice(3)) more.className = "ct-more-keys"; // there is room for them without controls
  return seen;
}

/** A curve from the edge of one cell to the edge of another, so that neither number is covered. */
function join([x1, y1], [x2, y2], from, to) {
  const side = Math.abs(x2 - x1) > (from + to) / 2 ? Math.sign(x2 - x1) : 0;
  const start = [x1 + (side * from) / 2, side ? y1 : y1 + from / 2];
  const end = [x2 - (side * to) / 2, side ? y2 : y2 - to / 2];
  const bend = side * Math.min(60, Math.abs(end[0] - start[0]) / 2);
  return `M${start}C${start[0] + bend} ${start[1]} ${end[0] - bend} ${end[1]} ${end}`;
}

/** Whether a scene can show a step: the MAC before it is in its window. */
function holds(scene, step) {
  return step === 0 ? scene.start === 0 : step > scene.start && step <= scene.stop;
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
  const bias = sum.bias === null ? [] : [`bias ${format(Number(sum.bias))}`];
  if (!sum.terms.length && sum.complete) {
    head.append(` = ${bias[0] ?? "0"}: no input value reaches it.`);
    return [head];
  }
  const written = (parts) => [...parts, ...rest, ...bias].join(" + ");
  const lines = [
    head,
    make("p", { class: "ct-sum" }, `= ${written(some.map((term) => term.names))}`),
    make("p", { class: "ct-sum" }, `= ${written(some.map((term) => term.numbers))}`),
    make("p", { class: "ct-sum" }, make("b", {}, `= ${sum.total}`)),
  ];
  if (sum.torch !== null) {
    const said = sum.agrees ? `torch: ${sum.torch}, agrees` : `torch: ${sum.torch}, differs`;
    lines.at(-1).append(` · ${said}`);
  }
  return lines;
}

/** Load the style sheet beside the player, before anything is shown. */
function loadStyle(parent, url) {
  if (!url) return Promise.resolve();
  return new Promise((done) => {
    parent.prepend(make("link", { rel: "stylesheet", href: url, onload: done, onerror: done }));
  });
}
