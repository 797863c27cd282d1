// linked.js: the browser names the same cells, and says the same equation, as the view in Python.

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeLinked, MOST_SIDE } from "../../convt_trace/player/linked.js";
import { decode } from "../../convt_trace/player/scene.js";
import { messages } from "./lib/scenes.mjs";

const all = messages();
const entries = all
  .filter(({ kind }) => kind === "linked")
  .map((entry) => ({ ...entry, scene: decode(entry.message) }));

/** Every view of every scene, with what Python says of its rows. */
function* views() {
  for (const { scene, about, views: said } of entries) {
    for (const message of scene.views.values()) {
      const view = decodeLinked(message, scene);
      yield { scene, view, said: said[view.name], about: `${about}, ${view.name}` };
    }
  }
}

test("a message carries every view that the scene offers", () => {
  assert.ok(entries.length >= 12);
  for (const { scene, views: said } of entries) {
    assert.deepEqual([...scene.views.keys()], Object.keys(said));
    for (const [name, title] of scene.offers) assert.ok(title && said[name], name);
  }
});

test("a message without views has none", () => {
  const { message } = all.find(({ kind }) => kind === "whole");
  assert.equal(decode(message).views.size, 0);
});

test("every row lights the cells that Python names", () => {
  for (const { view, said, about } of views()) {
    said.forEach(({ names }, row) => {
      for (const tensor of view.tensors) {
        tensor.see(row);
        if (!(tensor.name in names)) continue;
        const cell = tensor.cellOf(row);
        const isZero = cell >= 0 && tensor.panel.kind(cell) !== "real";
        if (!isZero) assert.equal(tensor.nameAt(row), names[tensor.name], about);
      }
    });
  }
});

test("the rows of a cell are those that light it", () => {
  for (const { view, said, about } of views()) {
    for (const tensor of view.tensors) {
      for (const row of [0, Math.floor(said.length / 2), said.length - 1]) {
        if (row < 0) continue;
        tensor.see(row);
        const cell = tensor.cellOf(row);
        const expected = said.map((_, at) => at).filter((at) => tensor.cellOf(at) === cell);
        assert.deepEqual(tensor.rowsOf(cell), expected, about);
        assert.ok(expected.includes(row), about);
      }
    }
  }
});

test("the equation is Python's, and a cropped one says so", () => {
  for (const { view, said, about } of views()) {
    said.forEach(({ kept, equation, names }, row) => {
      for (const tensor of view.tensors) tensor.see(row);
      const written = view.equation(row);
      const isNamed = view.tensors.every((tensor) => tensor.name in names);
      if (kept && isNamed) assert.equal(written, equation, about);
      if (!kept) assert.match(written, /cropped by padding\.$/);
    });
  }
});

test("a hidden equation tells no number", () => {
  for (const { scene, view, about } of views()) {
    if (!scene.columns.x.length) continue;
    const said = view.equation(0, true).replace(/\w+\[[^\]]*\]/g, "");
    assert.doesNotMatch(said.replace("cropped", ""), /-?\d+ [*=]|= -?\d/, about);
    assert.match(said, /\?/, about);
  }
});

test("an entry of the matrix is the weight of the MACs that meet there", () => {
  for (const { scene, view, about } of views()) {
    if (view.name !== "matrix") continue;
    for (const matrix of view.tensors.filter((tensor) => tensor.spec)) {
      const seen = new Set();
      scene.columns.x.forEach((_, row) => {
        if (matrix.see(row)) seen.clear();
        const cell = matrix.cellOf(row);
        assert.equal(matrix.valueOf(cell), scene.weight.values[scene.columns.w[row]], about);
        seen.add(cell);
      });
      // Nothing else is an entry, as long as all of the matrix is on screen.
      if (matrix.isWhole && scene.showsAllTerms)
        assert.deepEqual([...matrix.entries.keys()].sort(), [...seen].sort(), about);
    }
  }
});

test("a large matrix shows the part around the step", () => {
  const large = entries.filter(({ scene }) => scene.input.cells > MOST_SIDE);
  assert.ok(large.length > 0);
  for (const { scene } of large) {
    const message = scene.views.get("matrix");
    const matrix = decodeLinked(message, scene).tensors.find((tensor) => tensor.spec);
    const rows = scene.columns.x.length;
    for (const row of [0, rows - 1, Math.floor(rows / 3), 0]) {
      matrix.see(row);
      assert.ok(matrix.cellOf(row) >= 0);
      assert.equal(matrix.see(row), false, "what is shown already does not move");
    }
  }
});
