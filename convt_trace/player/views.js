// The linked views beside the picture: buttons that open them, and a section for each open one, in
// which the MAC of the player's step is lit. A view's data comes when it is opened.

import { draw, make } from "./elements.js";
import { fit, stack } from "./layout.js";
import { isTouched } from "./hands.js";
import { decodeLinked } from "./linked.js";
import { HIDDEN, Sheet } from "./sheet.js";

const NARROW = 600; // pixels: a phone shows one view at a time
const TWO_FROM = 1000; // pixels: from here on two views stand side by side
const HIGHEST = 460; // pixels of a line of tensors
const MOST_OUTLINED = 2000; // cells; more are a smear
const MOST_ARROWS = 300;

export class Views {
  /**
   * `player` has the scene and the step; `ask` tells the page which views are open.
   * @param {import("./player.js").Player} player
   * @param {() => void} ask
   */
  constructor(player, ask) {
    this.player = player;
    this.ask = ask;
    /** Names of the views that people chose; those that a scene does not offer wait. */
    this.wanted = [];
    this.sections = [];
    this.past = [];
    this.chips = make("div", { class: "ct-chips", role: "group", "aria-label": "Linked views" });
    this.grid = make("div", { class: "ct-views" });
    this.said = make("p", { class: "ct-unseen", "aria-live": "polite" });
    this.element = make("div", {}, this.chips, this.said, this.grid);
  }

  get scene() {
    return this.player.scene;
  }

  /** The wanted views that the scene offers, in the order in which they are offered. */
  get open() {
    return this.scene.offers.map(([name]) => name).filter((name) => this.wanted.includes(name));
  }

  // -- choosing -------------------------------------------------------------------------------

  toggle(name) {
    const rest = this.wanted.filter((one) => one !== name);
    const closes = rest.length < this.wanted.length;
    this.#want(closes ? rest : this.#isNarrow ? [name] : [...rest, name], closes ? "" : name);
  }

  /** Close a view; keys, which were in it, go on at the button that opens it. */
  close(name, byKey) {
    this.toggle(name);
    if (byKey) this.#chipOf(name)?.focus();
  }

  #chipOf(name) {
    return this.chips.querySelector(`[data-view="${name}"]`);
  }

  /** Open the next view alone; after the last one, none. */
  next() {
    const names = this.scene.offers.map(([name]) => name);
    const at = names.indexOf(this.open.at(-1)) + 1;
    this.#want(names.slice(at, at + 1), names[at] ?? "");
  }

  #want(names, opened) {
    this.wanted = names;
    this.show();
    if (this.open.length > this.sections.length) this.ask();
    this.#say(opened);
  }

  get #isNarrow() {
    return this.player.root.clientWidth < NARROW;
  }

  /** Say to a screen reader what has been opened. */
  #say(name) {
    const section = this.sections.find(({ view }) => view.name === name);
    this.said.textContent = section ? `${section.view.title}: ${section.view.sentence}` : "";
  }

  // -- showing --------------------------------------------------------------------------------

  /** Show the open views of the player's scene, as far as their data is here. */
  show() {
    const { scene, open } = this;
    const there = scene.views;
    const drawn = [...this.past, ...this.sections];
    const before = new Map(drawn.map((section) => [section.view.name, section]));
    this.past = [];
    this.sections = open
      .filter((name) => there.has(name))
      .map((name) => {
        const old = before.get(name);
        if (old?.view.scene === scene) return old;
        const view = decodeLinked(there.get(name), scene);
        if (!old) return new Section(this, view);
        old.take(view);
        return old;
      });
    this.#drawChips();
    this.waiting = open.filter((name) => !there.has(name));
    const waits = this.waiting.map((name) =>
      make("p", { class: "ct-note", "data-waits": name }, this.#waits(this.#title(name))),
    );
    this.grid.replaceChildren(...this.sections.map(({ element }) => element), ...waits);
    this.player.root.classList.toggle("ct-viewing", open.length > 0);
    this.lay();
  }

  /** Draw none until they have the next scene's data. */
  forget() {
    this.past = this.sections;
    this.sections = [];
  }

  /** Take views that came for a scene that is here already. */
  take(scene, views) {
    for (const [name, message] of views) scene.views.set(name, message);
    if (scene === this.scene && this.waiting?.length) {
      const [first] = this.waiting;
      this.show();
      this.#say(first);
    }
  }

  #waits(title) {
    return this.player.options.alone
      ? `This file does not hold “${title}” for these MACs; the app does.`
      : `Opening “${title}” …`;
  }

  #title(name) {
    return this.scene.offers.find(([one]) => one === name)?.[1] ?? name;
  }

  #drawChips() {
    const { scene, open } = this;
    const chip = ([name, title]) =>
      make(
        "button",
        {
          type: "button",
          "data-view": name,
          "aria-pressed": String(open.includes(name)),
          onclick: () => this.toggle(name),
        },
        title,
      );
    const focused = this.chips.contains(document.activeElement)
      ? document.activeElement.getAttribute("data-view")
      : null;
    this.element.hidden = !scene.offers.length; // a plain convolution has none
    this.chips.replaceChildren(make("span", {}, "See the same MAC as "), ...scene.offers.map(chip));
    if (focused) this.#chipOf(focused)?.focus();
  }

  lay() {
    const { clientWidth } = this.player.root;
    if (!clientWidth) return;
    const two = this.sections.length > 1 && clientWidth >= TWO_FROM;
    this.grid.style.gridTemplateColumns = two ? "1fr 1fr" : "1fr";
    const width = (two ? (clientWidth - 24) / 2 : clientWidth) - 34;
    for (const section of this.sections) section.lay(width);
    this.stand();
  }

  recolour() {
    for (const section of this.sections) section.recolour();
  }

  // -- the MAC in work ------------------------------------------------------------------------

  /** Light the player's step in every view. */
  stand() {
    const { scene } = this;
    const { step, level } = this.player;
    const here = step > scene.start && scene.has(step - 1);
    const row = here ? scene.rowOf(step) : -1;
    const first = here ? scene.unitStart(row, level) : -1;
    for (const section of this.sections) section.stand(first, row, here ? this.#reach(row) : []);
  }

  /** The rows that belong together with a row: of its stamp, or of the same output cell. */
  #reach(row) {
    const { scene } = this;
    const level = Math.max(scene.units.indexOf("stamp"), scene.units.indexOf("window"), 1);
    const rows = [];
    let at = scene.unitStart(row, level);
    do rows.push(at++);
    while (at < scene.stop - scene.start && scene.level(at) < level);
    return rows;
  }

  /** Light some rows' cells in every view, as those of a cell that is pointed at. */
  light(rows) {
    for (const section of this.sections) section.outline("lit", rows);
  }

  /** A cell of a view is pointed at, or none: its rows light up everywhere. */
  pointAt(rows) {
    const { looking } = this.player;
    if (!rows) {
      looking.light();
      return;
    }
    looking.lightRows(rows);
    this.light(rows);
  }

  /** Go to the next of some rows after the player's step. */
  goTo(rows) {
    if (!rows.length) return;
    const { scene, player } = this;
    const now = scene.rowOf(player.step);
    const row = rows.find((at) => at > now) ?? rows[0];
    player.transport.seek(scene.start + row + 1);
  }
}

/** One open view on the page. */
class Section {
  /**
   * @param {Views} views
   * @param {import("./linked.js").Linked} view
   */
  constructor(views, view) {
    this.views = views;
    this.player = views.player;
    this.lines = view.lines.map(([heading, tensors]) => this.#line(heading, tensors));
    this.title = make("b");
    this.says = make("p", { class: "ct-says" });
    this.equation = make("p", { class: "ct-equation" });
    this.proof = make("p", { class: "ct-verdict" });
    this.notes = make("div", { class: "ct-notes" });
    this.program = new Program();
    const close = make(
      "button",
      {
        type: "button",
        class: "ct-close",
        "aria-label": `Close ${view.title}`,
        onclick: (event) => views.close(view.name, event.detail === 0),
      },
      "×",
    );
    this.element = make(
      "section",
      { class: "ct-view", "data-view": view.name, "aria-label": view.title },
      make("div", { class: "ct-view-head" }, this.title, close),
      this.says,
      this.equation,
      ...this.lines.map(({ element }) => element),
      this.notes,
      this.proof,
      this.program.element,
    );
    this.take(view);
  }

  /** Take the same view of another scene: what is drawn stays, and is filled anew. */
  take(view) {
    this.view = view;
    this.title.textContent = view.title;
    this.says.textContent = view.sentence;
    this.program.write(view.code);
    view.lines.forEach(([heading, tensors], at) => {
      const line = this.lines[at];
      line.heading.textContent = heading;
      line.tensors = tensors;
      line.isStacked = view.arrows.some((name) => tensors.some((one) => one.name === name));
      line.stage.classList.toggle("ct-stacked", line.isStacked);
    });
  }

  #line(heading, tensors) {
    const links = draw("svg", { class: "ct-links", "aria-hidden": "true" });
    const line = {
      heading: make("p", { class: "ct-line-head", hidden: !heading }),
      links,
      tensors,
      isStacked: false,
    };
    line.sheets = tensors.map((tensor, at) => {
      const rows = (cell) => this.#rowsOf(line.tensors[at], cell);
      const looking = {
        hover: (target) => this.views.pointAt(target && rows(target.cell)),
        pin: (target) => target && this.views.goTo(line.tensors[at].rowsOf(target.cell)),
      };
      return new Sheet(this.player.picture, /** @type {any} */ (looking), tensor.panel);
    });
    const figures = line.sheets.map(({ figure }) => figure);
    line.stage = make("div", { class: "ct-stage" }, ...figures, links);
    line.element = make("div", { class: "ct-view-line" }, line.heading, line.stage);
    return line;
  }

  /** The rows that a cell tells of; a hidden one tells none. */
  #rowsOf(tensor, cell) {
    return tensor.tells && this.#isHidden ? [] : tensor.rowsOf(cell);
  }

  // -- drawing --------------------------------------------------------------------------------

  lay(width) {
    this.width = width;
    for (const line of this.lines) this.#layLine(line);
    this.recolour();
  }

  #layLine(line) {
    const { showCrop } = this.player.picture;
    const panels = line.tensors.map((tensor) => tensor.panel);
    // On a phone the tensors of a line stand below each other.
    const height = this.width < NARROW ? HIGHEST * panels.length : HIGHEST;
    const box = { width: this.width, height };
    const laid = (line.isStacked ? stack : fit)(panels, box, showCrop);
    line.sheets.forEach((sheet, at) => {
      sheet.lay(panels[at], laid[at]);
      const { missing } = line.tensors[at];
      if (missing) sheet.caption.append(make("span", {}, missing));
    });
  }

  /** Write and colour every cell, in the colours that the page has now. */
  recolour() {
    for (const line of this.lines) {
      line.sheets.forEach((sheet, at) => this.#colour(sheet, line.tensors[at]));
    }
    const { proof, notes } = this.view;
    const hidden = this.#isHidden;
    this.proof.textContent = hidden ? "" : `Worked out this way: ${proof.text}`;
    this.proof.dataset.kind = hidden ? "hidden" : proof.kind;
    this.notes.replaceChildren(...(hidden ? [] : notes).map((note) => make("p", {}, note)));
  }

  #colour(sheet, tensor) {
    const covers = tensor.tells && this.#isHidden;
    sheet.writeAll((cell) => {
      const value = tensor.valueOf(cell);
      return covers && value !== null ? HIDDEN : value;
    });
    sheet.paint();
  }

  get #isHidden() {
    return this.player.predict.hidesAny;
  }

  // -- the MAC in work ------------------------------------------------------------------------

  /** Light the rows from `first` to `row`, and outline those that they belong to; -1 for none. */
  stand(first, row, reach) {
    if (row >= 0) this.#bring(row);
    const rows = Array.from({ length: row < 0 ? 0 : row - first + 1 }, (_, at) => first + at);
    this.outline("now", rows);
    this.outline("reach", first === row ? reach : [], 3);
    const { scene } = this.view;
    const hidden = row >= 0 && this.player.predict.covers(scene.columns.y[row], this.player.step);
    this.equation.textContent =
      row < 0
        ? `${isTouched() ? "Tap Play, step, or tap" : "Press Play, step, or click"} a cell: the same MAC lights up in every picture.`
        : this.view.equation(row, hidden);
    for (const line of this.lines.filter((one) => one.isStacked)) this.#drawArrows(line, row);
  }

  /** Where a matrix shows another part than the row's, move it. */
  #bring(row) {
    for (const line of this.lines) {
      if (!line.tensors.map((tensor) => tensor.see(row)).some(Boolean)) continue;
      this.#layLine(line);
      line.sheets.forEach((sheet, at) => this.#colour(sheet, line.tensors[at]));
    }
  }

  /** Outline the cells that rows light, in every tensor. */
  outline(name, rows, inset = 1) {
    for (const line of this.lines) {
      line.sheets.forEach((sheet, at) => {
        const cells = new Set();
        for (const row of rows) {
          const cell = line.tensors[at].cellOf(row);
          if (cell >= 0) cells.add(cell);
        }
        const layer = sheet.layers[name];
        layer.setAttribute("d", cells.size > MOST_OUTLINED ? "" : sheet.outline([...cells], inset));
        if (name === "now")
          layer.style.strokeWidth = cells.size > 1 ? Math.min(2, sheet.laid.cell / 10) : 3;
      });
    }
  }

  /** Arrows of the MACs between two tensors, those of the channels in work; the MAC itself is bold. */
  #drawArrows(line, row) {
    const { scene, arrows } = this.view;
    const [from, to] = arrows.map((name) =>
      line.tensors.findIndex((tensor) => tensor.name === name),
    );
    const ends = (at) => [from, to].map((index) => line.tensors[index].cellOf(at));
    const channels = (cells) =>
      cells.map((cell, at) => line.tensors[[from, to][at]].panel.place(cell)[0]).join();
    const shown = channels(ends(Math.max(row, 0)));
    const parts = new Map();
    for (let at = 0; at < scene.stop - scene.start && parts.size < MOST_ARROWS; at += 1) {
      const cells = ends(at);
      if (cells.some((cell) => cell < 0) || channels(cells) !== shown) continue;
      parts.set(cells.join(), this.#arrow(line, [from, to], cells));
    }
    const now = row >= 0 ? this.#arrow(line, [from, to], ends(row)) : "";
    line.links.replaceChildren(
      draw("path", { class: "ct-arrows", d: [...parts.values()].join("") }),
      draw("path", { class: "ct-arrow-now", d: now }),
    );
  }

  /** An arrow from below the one tensor to above the other, over and under the cells that it joins. */
  #arrow(line, sheets, cells) {
    const [start, end] = sheets.map((at, which) => {
      const sheet = line.sheets[at];
      const center = sheet.center(cells[which]);
      const height = which ? 0 : sheet.laid.height;
      return center && [center[0] + sheet.body.offsetLeft, sheet.body.offsetTop + height];
    });
    if (!start || !end) return "";
    const [dx, dy] = [end[0] - start[0], end[1] - start[1]];
    const far = Math.hypot(dx, dy) || 1;
    const [ux, uy] = [dx / far, dy / far];
    const head = [-1, 1].map((side) => [
      end[0] - 6 * ux - side * 3 * uy,
      end[1] - 6 * uy + side * 3 * ux,
    ]);
    return `M${start}L${end}M${head[0]}L${end}L${head[1]}`;
  }
}

/** The view as a program, closed at first, with a button that copies it. */
class Program {
  constructor() {
    this.code = make("code");
    this.text = make("pre", { tabindex: 0 }, this.code);
    this.button = make("button", { type: "button", class: "ct-copy" }, "Copy");
    this.button.onclick = () => this.#copy();
    this.element = make(
      "details",
      { class: "ct-code" },
      make("summary", {}, "The same in torch"),
      make("div", { class: "ct-code-box" }, this.button, this.text),
    );
  }

  write(code) {
    this.code.textContent = code;
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      this.button.textContent = "Copied";
    } catch {
      // Without a secure connection a page may not copy; what is selected, people can.
      getSelection().selectAllChildren(this.text);
      this.button.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => (this.button.textContent = "Copy"), 2500);
  }
}
