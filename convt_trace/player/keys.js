// Which key does what, and where on the page it does nothing.

import { make, scrolls } from "./elements.js";

/** The key of each button, as its tooltip names it. */
export const KEYS = {
  "First step": "Home",
  "Step back": "←",
  Play: "Space",
  "Step forward": "→",
  "Last step": "End",
};

/** The same, as a screen reader names them. */
export const SHORTCUTS = { ...KEYS, "Step back": "ArrowLeft", "Step forward": "ArrowRight" };

const HINTS = [
  ["Space", "play"],
  ["← →", "step"],
  ["Home End", "ends"],
];
const MORE_HINTS = [
  ["U", "unit"],
  ["H", "hide"],
  ["V", "view"],
];

const ROLES = [
  ...["slider", "spinbutton", "combobox", "listbox", "option", "textbox", "searchbox"],
  ...["radio", "checkbox", "switch", "button", "link", "tab", "menu", "menuitem"],
  ...["grid", "treegrid", "tree", "dialog", "application"],
];
/** What else on the page takes keys for itself. */
const BUSY = [
  `input, textarea, select, button, a[href], summary, pre[tabindex], canvas, iframe`,
  `[contenteditable="true"]`,
  ...ROLES.map((role) => `[role="${role}"]`),
].join(", ");

/** What of the player's own is moved in, or pressed, by keys while it has the focus. */
const SCROLLS = ".ct-stage, .ct-detail, .ct-code pre";
const MOVES = /^( |Arrow.*|Home|End)$/;
const PRESSED = "button, summary, input:not([type=range])";

/** The keys as a line of hints; there is room for more of them where there are no controls. */
export function keyHints() {
  const hint = (/** @type {string[]} */ [key, does], more) =>
    make("span", { class: more && "ct-more-keys" }, make("kbd", {}, key), ` ${does} `);
  return make(
    "span",
    { class: "ct-keys" },
    ...HINTS.map((keys) => hint(keys, false)),
    ...MORE_HINTS.map((keys) => hint(keys, true)),
  );
}

/** Do what a key stands for, by the names in `actions`, if it is meant for the player in `root`. */
export function press(event, root, actions) {
  if (!root.isConnected || event.defaultPrevented) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.composedPath()[0];
  if (!root.contains(target) && target.closest(BUSY)) return;
  if (target.type === "text" && event.key !== "Escape") return; // an answer is being typed
  if (target.matches("select") || (event.key === " " && target.matches(PRESSED))) return;
  if (MOVES.test(event.key) && target.matches(SCROLLS) && scrolls(target)) return;
  const run = actions[event.key.length > 1 ? event.key : event.key.toLowerCase()];
  if (!run) return;
  event.preventDefault();
  event.stopPropagation();
  run();
}
