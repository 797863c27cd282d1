// The windows of a trace that a page keeps: packed, and stepped over where there is none.

import { holds } from "./scene.js";

/** The bytes of a window, which is gzip'd. */
export async function unpack(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The place among the windows of the one with a MAC; the first where the MAC is the first, -1 for none. */
export function placeOf(windows, number) {
  const at = windows.findIndex(({ start, stop }) => start <= number && number < stop);
  return at < 0 && number === 0 ? 0 : at;
}

/** The nearest step in the direction of the target that one of the windows holds. */
export function reach(windows, target, from) {
  if (windows.some((window) => holds(window, target))) return target;
  const next = windows.find(({ start }) => start >= target);
  const last = windows.findLast(({ stop }) => stop < target);
  return (target > from && next) || !last ? next.start + 1 : last.stop;
}
