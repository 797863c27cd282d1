// A cell of a tensor as text: the one form in which links, openings and Share name it, such as
// "output:0,3,0". docs/links.md promises that this form stays readable.

/** Write a cell, {tensor, place}: the tensor's name and the cell's own index in it. */
export function toText({ tensor, place }) {
  return `${tensor}:${place.join(",")}`;
}

/** Read a cell; null where the text is not one. */
export function fromText(text) {
  const [, tensor, index] = /^(\w+):(-?\d+(?:,-?\d+)*)$/.exec(text) ?? [];
  return tensor === undefined ? null : { tensor, place: index.split(",").map(Number) };
}
