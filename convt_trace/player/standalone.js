// What a page without a server adds to the player: the windows of the trace come out of the
// page itself, and steps that it does not hold are stepped over. Made by convt_trace/player/page.py.

import { mount } from "./player.js";
import { holds } from "./scene.js";

const byId = (id) => document.getElementById(id);
const element = byId("player");
const { windows, first } = JSON.parse(byId("contents").textContent);
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The bytes of a part of the page, which is gzip'd and in base64. */
async function part(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The nearest step in the direction of the target that the page holds. */
function reach(target, from) {
  if (windows.some((window) => holds(window, target))) return target;
  const next = windows.find(({ start }) => start >= target);
  const last = windows.findLast(({ stop }) => stop < target);
  return (target > from && next) || !last ? next.start + 1 : last.stop;
}

async function show(options, number) {
  const at = windows.findIndex(({ start, stop }) => start <= number && number < stop);
  if (at < 0 && number > 0) return; // asked ahead of a gap
  const data = await part(`window-${Math.max(at, 0)}`);
  mount(
    {
      data,
      parentElement: element,
      setTriggerValue: (name, wanted) => name === "window" && show(options, wanted),
    },
    options,
  );
}

const options = { reach, alone: true };
await show(options, first);
byId("wait").hidden = true;
dark.onchange = () => show(options, 0); // a player that is given data it has reads its colours anew
