// layout.js: everything stands inside its sheet and its box, and nothing on anything else.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fit, lines, sheet, spots } from "../../convt_trace/player/layout.js";
import { decode } from "../../convt_trace/player/scene.js";
import { messages } from "./lib/scenes.mjs";

const scenes = messages().map((entry) => ({ ...entry, scene: decode(entry.message) }));
const BOXES = [
  { width: 1180, height: 560 },
  { width: 900, height: 400 },
  { width: 358, height: 620 },
];
const SMALLEST = 5;

/** Every laid sheet of every scene, in every box, with and without the cropped margin. */
function* laid() {
  for (const { scene, about } of scenes) {
    for (const box of BOXES) {
      for (const crop of [true, false]) {
        const sheets = fit(scene.tensors, box, crop);
        const said = `${about}, ${box.width} x ${box.height}, crop ${crop}`;
        yield { scene, box, crop, sheets, said };
      }
    }
  }
}

test("no two cells stand in one place, and all stand on the sheet", () => {
  for (const { scene, sheets, said } of laid()) {
    sheets.forEach((on, at) => {
      const places = [...spots(scene.tensors[at], on).values()];
      const distinct = new Set(places.map(([row, column]) => row * 10_000 + column));
      assert.equal(distinct.size, places.length, said);
      for (const [row, column] of places) {
        assert.ok(row >= 0 && row < on.rows && column >= 0 && column < on.columns, said);
      }
    });
  }
});

test("blocks have a gap between them", () => {
  for (const { scene, sheets, said } of laid()) {
    for (const on of sheets) {
      on.blocks.forEach((a, first) => {
        for (const b of on.blocks.slice(first + 1)) {
          // In 1-D the channels of a group are rows of one block, told apart by their names.
          const gap = scene.dims === 1 ? 0 : 1;
          const across = a.left + a.width + 1 <= b.left || b.left + b.width + 1 <= a.left;
          const down = a.top + a.height + gap <= b.top || b.top + b.height + gap <= a.top;
          assert.ok(across || down, said);
        }
      });
    }
  }
});

test("groups are further apart than channels", () => {
  for (const { scene, sheets, said } of laid()) {
    if (scene.dims !== 1) continue;
    sheets.forEach((on, at) => {
      on.blocks.slice(1).forEach((block, before) => {
        const group = (of) => scene.tensors[at].channels[of.channel].group;
        const space = block.top - on.blocks[before].top - on.blocks[before].height;
        if (group(block) !== group(on.blocks[before])) assert.ok(space * on.cell >= 6, said);
      });
    });
  }
});

test("a sheet is as large as what stands on it", () => {
  for (const { sheets, said } of laid()) {
    for (const on of sheets) {
      assert.ok(on.cell >= SMALLEST && on.cell <= 40, said);
      assert.ok(on.margin.left + on.columns * on.cell <= on.width, said);
      assert.ok(on.rows * on.cell + on.margin.bottom <= on.height, said);
    }
  }
});

test("sheets fit into their box, unless cells are as small as they get", () => {
  for (const { box, sheets, said } of laid()) {
    if (Math.min(...sheets.map((on) => on.cell)) === SMALLEST) continue;
    for (const on of sheets) assert.ok(on.width <= box.width, said);
    // Set side by side and wrapped, as the page does it.
    let [left, top, line] = [0, 0, 0];
    for (const on of sheets) {
      if (left > 0 && left + 36 + on.width > box.width) [left, top, line] = [0, top + line, 0];
      left += (left > 0 ? 36 : 0) + on.width;
      line = Math.max(line, on.height);
    }
    assert.ok(top + line <= box.height, said);
  }
});

test("hiding the cropped margin hides it and nothing else", () => {
  for (const { scene, crop, sheets, said } of laid()) {
    sheets.forEach((on, at) => {
      const panel = scene.tensors[at];
      const there = spots(panel, on);
      for (let cell = 0; cell < panel.cells; cell += 1) {
        assert.equal(there.has(cell), crop || !panel.marked(cell, "crop"), said);
      }
    });
  }
});

test("every block stands on one line", () => {
  for (const { scene } of scenes) {
    for (const panel of scene.tensors) {
      for (const across of [false, true]) {
        const placed = lines(panel, across)
          .flat()
          .map(({ channel, depth }) => `${channel} ${depth}`);
        const depths = scene.dims === 3 ? panel.size[0] : 1;
        assert.equal(placed.length, panel.channels.length * depths);
        assert.equal(new Set(placed).size, placed.length);
      }
    }
  }
});

test("small tensors have cells with numbers in them on a desktop", () => {
  const [{ scene }] = scenes.filter(({ about }) => about.includes("(1, 4, 3), scatter"));
  for (const on of fit(scene.tensors, BOXES[0], true)) assert.ok(on.cell >= 30);
});

test("larger cells make a larger sheet", () => {
  for (const { scene } of scenes.slice(0, 20)) {
    for (const panel of scene.tensors) {
      const sizes = [5, 10, 20, 40].map((cell) => sheet(panel, cell, true));
      for (const at of [1, 2, 3]) assert.ok(sizes[at].height > sizes[at - 1].height);
    }
  }
});
