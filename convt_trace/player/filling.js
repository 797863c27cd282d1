// The output as it fills, step by step: what its cells hold, and how far each has come.

export const EMPTY = 0;
export const FILLING = 1;
export const DONE = 2;

/** The output as it fills: what every cell holds after a number of MACs. */
export class Filling {
  /** @param {import("./scene.js").Scene} scene */
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
