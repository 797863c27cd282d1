// What a page without a server adds to the player: the windows of the trace come out of the
// page itself, and steps that it does not hold are stepped over. Made by convt_trace/player/page.py.

import { placeOf, reach, unpack } from "./held.js";
import { mount } from "./player.js";

const byId = (id) => document.getElementById(id);
const element = byId("player");
const { windows, first } = JSON.parse(byId("contents").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The bytes of a part of the page, which is in base64. */
const part = (id) =>
  unpack(Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0)));

async function show(options, number) {
  const at = placeOf(windows, number);
  if (at < 0) return; // asked ahead of a gap
  mount(
    {
      data: await part(`window-${at}`),
      parentElement: element,
      setTriggerValue: (name, wanted) => name === "window" && show(options, wanted),
    },
    options,
  );
}

const options = { reach: (target, from) => reach(windows, target, from), alone: true };
await show(options, first);
byId("wait").hidden = true;
dark.onchange = () => show(options, 0); // a player that is given data it has reads its colours anew
