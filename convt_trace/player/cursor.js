// Going from cell to cell by keys. A sheet that has the focus is walked through with the arrow keys,
// which light up and tell a cell as pointing at it does; Enter does what a click does.

const MOVES = {
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
};

export class Cursor {
  /**
   * `looking` is told which cell the keys are at, and which one they choose.
   * @param {import("./sheet.js").Sheet} sheet
   * @param {import("./looking.js").Looking} looking
   */
  constructor(sheet, looking) {
    this.sheet = sheet;
    this.looking = looking;
    this.cell = null;
    this.isHere = false;
    const { body } = sheet;
    // A click focuses a sheet too, and leaves the arrow keys what they are everywhere: steps.
    body.onpointerdown = () => {
      this.pointed = true;
      this.#leave();
    };
    body.onfocus = () => !this.pointed && this.#go(this.#start());
    body.onblur = () => {
      this.pointed = false;
      this.#leave();
    };
    body.onkeydown = (event) => this.#key(event);
  }

  /** Outline the cell on a sheet that is drawn anew; it may not have it any more. */
  draw() {
    if (!this.sheet.places.has(this.cell)) this.cell = null;
    const shown = this.isHere && this.cell !== null ? [this.cell] : [];
    this.sheet.layers.cursor.setAttribute("d", this.sheet.outline(shown, 4));
  }

  /** Where the keys left off, else the cell that is outlined for the step, else the first one. */
  #start() {
    const { places, picture, panel } = this.sheet;
    return this.cell ?? picture.stepsCell(panel.name) ?? places.keys().next().value ?? null;
  }

  #key(event) {
    const move = MOVES[event.key];
    if (!this.isHere || this.cell === null || event.ctrlKey || event.metaKey || event.altKey)
      return;
    if (!move && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    if (move) this.#go(this.#beside(move) ?? this.cell);
    else this.looking.pin(this.#target);
  }

  /** The next cell in a direction, over the gaps between blocks. */
  #beside([down, right]) {
    const { places, cellAt, laid } = this.sheet;
    let [row, column] = places.get(this.cell);
    const isInside = () => row >= 0 && row < laid.rows && column >= 0 && column < laid.columns;
    do {
      row += down;
      column += right;
    } while (isInside() && !cellAt.has(row * laid.columns + column));
    return isInside() ? cellAt.get(row * laid.columns + column) : null;
  }

  #go(cell) {
    this.isHere = true;
    this.cell = cell;
    this.draw();
    if (cell === null) return;
    this.looking.hover(this.#target);
    this.sheet.picture.say(this.sheet.tell(cell));
  }

  #leave() {
    if (!this.isHere) return;
    this.isHere = false;
    this.draw();
    this.looking.hover(null);
  }

  get #target() {
    return { panel: this.sheet.panel.name, cell: this.cell };
  }
}
