// A cell of a tensor as text: the one form in which links, openings and Share name it, such as
// "output:0,3,0". docs/links.md promises that this form stays readable.

/** @typedef {{tensor: string, place: number[]}} Cell a tensor's name, and the cell's own index in it */

/**
 * Write a cell.
 * @param {Cell} cell
 */
export function toText({ tensor, place }) {
  return `${tensor}:${place.join(",")}`;
}

/**
 * Read a cell; null where the text is not one.
 * @param {string} text
 * @returns {Cell | null}
 */
export function fromText(text) {
  const [, tensor, index] = /^(\w+):(-?\d+(?:,-?\d+)*)$/.exec(text) ?? [];
  return tensor === undefined ? null : { tensor, place: index.split(",").map(Number) };
}
