// The picture: the sheets of all tensors, laid out in the room that there is, and what a step
// outlines on them. It draws what the player's scene, filling and step say, and decides none of them.

import { isNight, Scale } from "./colours.js";
import { checkbox, draw, make } from "./elements.js";
import { fit } from "./layout.js";
import { DONE, EMPTY } from "./filling.js";
import { GROUPS, HIDDEN, Sheet } from "./sheet.js";

const LARGER = [3, 2.5, 2.2, 2, 1.8, 1.6, 1.4, 1.2, 1]; // how much a presenter's picture grows, at best
const SEEN_FROM_AFAR = 34; // pixels of a cell before it grows
const MOST_OUTLINED = 2000; // cells; more are a smear

export class Picture {
  /**
   * `player` has the scene, the filling, the step, and what is hidden; `redrawn` follows a new layout.
   * @param {import("./player.js").Player} player
   * @param {() => void} redrawn
   */
  constructor(player, redrawn) {
    this.player = player;
    this.redrawn = redrawn;
    this.sheets = [];
    this.showCrop = true;
    this.isLaid = false;
    this.hatch = `ct-hatch-${Math.random().toString(36).slice(2)}`;
    this.links = draw("svg", { class: "ct-links", "aria-hidden": "true" });
    this.stage = make("div", { class: "ct-stage" });
    /** What a screen reader is told: how a sheet is walked through, and the cell that the keys are at. */
    this.hint = make(
      "p",
      { class: "ct-unseen", id: `${this.hatch}-keys` },
      "The arrow keys go from cell to cell, Enter selects one, Escape lets it go.",
    );
    this.said = make("p", { class: "ct-unseen", "aria-live": "polite" });
    this.legend = make("div", { class: "ct-legend" });
    this.cropBox = checkbox("Cropped margin", true, (on) => {
      this.showCrop = on;
      this.lay();
    });
    this.sized = new ResizeObserver(() => this.#resized());
  }

  get scene() {
    return this.player.scene;
  }

  /** Say something to a screen reader. */
  say(text) {
    this.said.textContent = text;
  }

  /** The cell of the player's step on a panel; null where there is none. */
  stepsCell(name) {
    const { scene } = this;
    const { step } = this.player;
    const column = scene.columns[{ input: "x", weight: "w", output: "y" }[name]];
    const isHere = column && step > scene.start && scene.has(step - 1);
    return isHere ? column[scene.rowOf(step)] : null;
  }

  get root() {
    return this.player.root;
  }

  /** The pattern that hatches what is cropped; it has to be on the page. */
  pattern() {
    const defs = draw("svg", { class: "ct-defs", "aria-hidden": "true", width: 0, height: 0 });
    const pattern = draw("pattern", {
      id: this.hatch,
      width: 6,
      height: 6,
      patternUnits: "userSpaceOnUse",
      patternTransform: "rotate(45)",
    });
    pattern.append(
      draw("rect", { class: "ct-veil", width: 6, height: 6 }),
      draw("line", { class: "ct-hatching", x1: 0, y1: 0, x2: 0, y2: 6 }),
    );
    defs.append(pattern);
    return defs;
  }

  /** Put the player's scene on the page. */
  show(looking) {
    if (!this.sheets.length) {
      this.sheets = this.scene.tensors.map((panel) => new Sheet(this, looking, panel));
      this.stage.replaceChildren(...this.sheets.map((sheet) => sheet.figure), this.links);
      this.sized.observe(this.root);
    }
    this.lay();
    this.#drawLegend();
  }

  get sheetOf() {
    return Object.fromEntries(this.sheets.map((sheet) => [sheet.panel.name, sheet]));
  }

  #drawLegend() {
    const { scene } = this;
    const key = (swatch, text) =>
      make("span", { class: "ct-key" }, make("i", { class: swatch }), text);
    const has = (mark) =>
      scene.tensors.some((panel) => panel.tracks.some((track) => track[mark].some(Boolean)));
    const kinds = scene.input.tracks.flatMap((track) => track.kind);
    const parts = [
      make("span", { class: "ct-key" }, "negative", make("i", { class: "ct-ramp" }), "positive"),
    ];
    parts.push(key("ct-key-now", "this step"), key("ct-key-lit", "selected cell"));
    if (scene.order === "gather" && kinds.includes("pad"))
      parts.push(key("ct-key-pad", "outside this line: padded zeros"));
    if (has("crop")) parts.push(key("ct-key-crop", "cropped by padding"));
    if (has("extra")) parts.push(key("ct-key-extra", "added by output_padding"));
    const groups = [...new Set(scene.input.channels.map((channel) => channel.group))];
    if (groups.length > 1) {
      parts.push(
        ...groups.map((group) => key(`ct-key-group ct-group-${group % GROUPS}`, `group ${group}`)),
      );
    }
    this.legend.replaceChildren(...parts);
    this.cropBox.hidden = scene.macs.cropped === 0;
  }

  // -- layout ---------------------------------------------------------------------------------

  #resized() {
    const width = this.root.clientWidth;
    if (!width || width === this.laidWidth) return;
    requestAnimationFrame(() => this.lay());
  }

  /** Lay everything out anew. */
  lay() {
    const { scene } = this;
    this.laidWidth = this.root.clientWidth;
    const { zoom, laid } = this.isLarge ? this.#large() : { zoom: 1, laid: this.#fit(1) };
    this.stage.style.zoom = zoom;
    this.sheets.forEach((sheet, at) => sheet.lay(scene.tensors[at], laid[at]));
    this.recolour();
    this.links.setAttribute("width", this.stage.clientWidth);
    this.links.setAttribute("height", this.stage.scrollHeight);
    this.isLaid = true;
    this.outlineStep();
    this.redrawn();
  }

  get isLarge() {
    return this.root.classList.contains("ct-large");
  }

  #fit(zoom) {
    const narrow = this.laidWidth < 600;
    const room = this.isLarge ? window.innerHeight - 320 : Math.min(620, window.innerHeight - 330);
    const height = narrow ? 620 * zoom : Math.max(300, room);
    const box = { width: (this.laidWidth - 2) / zoom, height: height / zoom };
    return fit(this.scene.tensors, box, this.showCrop);
  }

  /** The picture as large as it can be with cells that are seen from afar. */
  #large() {
    for (const zoom of LARGER) {
      const laid = this.#fit(zoom);
      if (zoom === 1 || laid.every(({ cell }) => cell >= SEEN_FROM_AFAR)) return { zoom, laid };
    }
  }

  // -- values ---------------------------------------------------------------------------------

  /** Write and colour every cell anew, in the colours that the page has now. */
  recolour() {
    this.root.classList.toggle("ct-night", isNight(this.root));
    this.scale = new Scale(this.root);
    const { predict } = this.player;
    for (const sheet of this.sheets) {
      const { values } = sheet.panel;
      const ofCell = {
        output: (cell) => this.#held(cell),
        torch: (cell) =>
          predict.hides(this.scene.outputCell[cell]) ? HIDDEN : this.#torchs(values[cell]),
      }[sheet.panel.name];
      sheet.writeAll(ofCell ?? ((cell) => values[cell]));
      sheet.paint();
    }
    this.#tick();
  }

  /** A number of torch's; null where torch's result is not computed. */
  #torchs(value) {
    return this.scene.verdict.kind === "none" ? null : value;
  }

  /** What an output cell shows at the player's step. */
  #held(cell) {
    const { predict, filling, step } = this.player;
    if (predict.covers(cell, step)) return HIDDEN;
    if (predict.isSolved(cell)) return this.scene.output.values[cell];
    return filling.stages[cell] === EMPTY ? null : filling.values[cell];
  }

  /** Draw the player's step, at which these output cells changed. */
  drawStep(changed) {
    const { output } = this.sheetOf;
    // At the step from which on the output is hidden, all of it changes.
    const cells = this.player.predict.on ? output.places.keys() : changed;
    for (const cell of cells) output.write(cell, this.#held(cell));
    if (changed.size) {
      output.repaint();
      this.#tick();
    }
    this.outlineStep();
  }

  /** Tick torch's cells that the output has reached and agrees with. */
  #tick() {
    const { torch } = this.sheetOf;
    const { cell } = torch.laid;
    const { scene } = this;
    const { predict, filling } = this.player;
    const corner = Math.max(3, cell / 4);
    torch.layers.mark.classList.toggle("ct-filled", cell < 30);
    let path = "";
    for (let at = 0; at < scene.output.cells; at += 1) {
      const there = scene.torchCell[at];
      const done = filling.stages[at] === DONE || predict.isSolved(at);
      if (there < 0 || !done || !scene.columns.agrees[there] || predict.hides(at)) continue;
      const [x, y] = torch.corner(there);
      path +=
        cell >= 30
          ? `M${x + cell - 10} ${y + 6}l2.5 3 4.5 -5.5`
          : `M${x + cell - corner} ${y}h${corner}v${corner}z`;
    }
    torch.layers.mark.setAttribute("d", path);
  }

  // -- outlines of a step ---------------------------------------------------------------------

  /** Outline the cells of the player's step, and what they belong to. */
  outlineStep() {
    const { scene } = this;
    const { step, level } = this.player;
    for (const sheet of this.sheets)
      for (const name of ["now", "reach"]) sheet.layers[name].setAttribute("d", "");
    if (step <= scene.start || !scene.has(step - 1)) {
      this.links.replaceChildren();
      return;
    }
    const row = scene.rowOf(step);
    const first = scene.unitStart(row, level);
    const { input, weight, output } = this.sheetOf;
    for (const [sheet, column] of [
      [input, "x"],
      [weight, "w"],
      [output, "y"],
    ]) {
      const cells = [...new Set(scene.columns[column].subarray(first, row + 1))];
      sheet.layers.now.setAttribute(
        "d",
        cells.length > MOST_OUTLINED ? "" : sheet.outline(cells, 1),
      );
      sheet.layers.now.style.strokeWidth = cells.length > 1 ? Math.min(2, sheet.laid.cell / 10) : 3;
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
    const terms = (scene.order === "scatter" ? scene.usesOf(x) : scene.termsOf(y)).filter(
      sameKernel,
    );
    if (scene.order === "scatter")
      output.layers.reach.setAttribute(
        "d",
        output.outline(
          terms.map((term) => term.y),
          3,
        ),
      );
    else
      input.layers.reach.setAttribute(
        "d",
        input.outline(scene.windowOf(y, scene.input.place(x)[0]), 3),
      );
    weight.layers.reach.setAttribute(
      "d",
      weight.outline(
        terms.map((term) => term.w),
        3,
      ),
    );
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
    const cropped = !scene.kept(row);
    const path =
      join(from, tap, input.laid.cell, weight.laid.cell) +
      join(tap, to, weight.laid.cell, output.laid.cell);
    const parts = [
      draw("path", { class: "ct-link-halo", d: path }),
      draw("path", { class: `ct-link ${cropped ? "ct-dropped" : ""}`, d: path }),
    ];
    if (cropped) {
      const [x, y] = to;
      parts.push(
        draw("path", { class: "ct-cross", d: `M${x - 6} ${y - 6}l12 12M${x + 6} ${y - 6}l-12 12` }),
      );
    }
    this.links.replaceChildren(...parts);
  }
}

/**
 * A curve from the corner of one cell to the corner of another. It leaves and arrives along the lines
 * between rows, so that neither their numbers nor those beside them are struck through.
 * @param {number[]} one its middle
 * @param {number[]} other its middle
 * @param {number} from the one's size
 * @param {number} to the other's size
 */
function join(one, other, from, to) {
  const [[x1, y1], [x2, y2]] = [one, other];
  const side = Math.abs(x2 - x1) > (from + to) / 2 ? Math.sign(x2 - x1) : 0;
  const down = y2 > y1 ? 1 : -1;
  const start = [x1 + (side * from) / 2, y1 + ((side ? down : 1) * from) / 2];
  const end = [x2 - (side * to) / 2, y2 - ((side && y1 !== y2 ? down : 1) * to) / 2];
  const bend = side * Math.min(60, Math.abs(end[0] - start[0]) / 2);
  return `M${start}C${start[0] + bend} ${start[1]} ${end[0] - bend} ${end[1]} ${end}`;
}
