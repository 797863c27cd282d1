// What people hold: a mouse and keys, or a finger.

/** Whether a finger is what points here; Node, where the tests run, has neither. */
export function isTouched() {
  return globalThis.matchMedia?.("(pointer: coarse)").matches ?? false;
}
