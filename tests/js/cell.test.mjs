// A cell as text: what links of today say stays readable.

import assert from "node:assert/strict";
import { test } from "node:test";

import { fromText, toText } from "../../convt_trace/player/cell.js";
import { decode } from "../../convt_trace/player/scene.js";
import { messages } from "./lib/scenes.mjs";

const whole = messages()
  .filter(({ kind }) => kind === "whole")
  .map((entry) => ({ ...entry, scene: decode(entry.message) }));

test("a cell's text is its tensor and its index", () => {
  const cells = {
    "output:0,3,0": { tensor: "output", place: [0, 3, 0] },
    "output:3,-2": { tensor: "output", place: [3, -2] },
    "weight:0,1,2,2,1": { tensor: "weight", place: [0, 1, 2, 2, 1] },
  };
  for (const [text, cell] of Object.entries(cells)) {
    assert.deepEqual(fromText(text), cell);
    assert.equal(toText(cell), text);
  }
});

test("other text is no cell", () => {
  for (const text of [
    "",
    "no",
    "output",
    "output:",
    "output:1,",
    "output:1.5",
    "output:a",
    "output:1:2",
    ":1",
    "y[0,1]",
  ]) {
    assert.equal(fromText(text), null, text);
  }
});

test("every cell that is told is the one that Python names, with item 0 where there is no batch", () => {
  let unbatched = 0;
  for (const { scene, names, about } of whole) {
    for (const [row, [, , name]] of names.entries()) {
      const index = JSON.parse(name.slice(1));
      const expected = scene.unbatched ? [0, ...index] : index;
      unbatched += scene.unbatched;
      assert.equal(expected.length, scene.dims + 2);
      assert.deepEqual(
        scene.outputCellOf(scene.columns.y[row]),
        { tensor: "output", place: expected },
        about,
      );
    }
  }
  assert.ok(unbatched > 0);
});

test("a link finds its cell, an unbatched one with and without the item", () => {
  for (const { scene, names } of whole) {
    for (const [row, [x, w, y]] of names.entries()) {
      for (const [panel, column, name] of [
        ["input", "x", x],
        ["weight", "w", w],
        ["output", "y", y],
      ]) {
        const found = { panel, cell: scene.columns[column][row] };
        assert.deepEqual(scene.find(`${panel}:${name.slice(2, -1)}`), found);
        const longer = `${panel}:0,${name.slice(2, -1)}`;
        assert.deepEqual(scene.find(longer), scene.unbatched && panel !== "weight" ? found : null);
      }
    }
  }
});
