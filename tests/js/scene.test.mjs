// scene.js against what the message says, row by row.

import assert from "node:assert/strict";
import { test } from "node:test";

import { number } from "../../convt_trace/player/number.js";
import { DONE, EMPTY, Filling, FILLING } from "../../convt_trace/player/filling.js";
import { decode, holds } from "../../convt_trace/player/scene.js";
import { messages } from "./lib/scenes.mjs";

const scenes = messages().map((entry) => ({ ...entry, scene: decode(entry.message) }));
const whole = scenes.filter(({ kind }) => kind === "whole");
const windows = (order) =>
  scenes.filter(({ kind }) => kind === `windows ${order}`).map(({ scene }) => scene);
const WALKS = ["scatter 2d", "gather 2d", "scatter 1d", "gather 1d"];
const only = (kind) => scenes.find((entry) => entry.kind === kind).scene;
const rowsOf = (scene) => Array.from(scene.columns.x.keys());
const each = (entries, check) => entries.forEach((entry) => check(entry.scene, entry));

test("there is something to test", () => {
  assert.ok(whole.length > 50);
  assert.deepEqual(new Set(whole.map(({ scene }) => scene.dims)), new Set([1, 2, 3]));
  for (const walk of WALKS) assert.ok(windows(walk).length > 3, walk);
});

test("numbers arrive as they were", () => {
  const floats = only("floats");
  const expected = [NaN, Infinity, -Infinity, -0, 1e300, 0.1];
  assert.deepEqual([...floats.input.values], expected);
  assert.deepEqual([...only("integers").input.values], [2n ** 62n, -(2n ** 62n)]);
  assert.ok(only("integers").columns.after instanceof BigInt64Array);
});

test("a message may begin anywhere in memory", () => {
  const { message } = whole[0];
  const moved = new Uint8Array(message.length + 3);
  moved.set(message, 3);
  assert.deepEqual(decode(moved.subarray(3)).columns, decode(message).columns);
});

test("cells are called what Python calls them", () => {
  each(
    [...whole, ...scenes.filter(({ kind }) => kind.startsWith("windows"))],
    (scene, { names, about }) => {
      const { x, w, y } = scene.columns;
      const said = rowsOf(scene).map((row) => [
        scene.input.cellName(x[row]),
        scene.weight.cellName(w[row]),
        scene.output.cellName(y[row]),
      ]);
      assert.deepEqual(said, names, about);
    },
  );
});

test("a cell's place and its number are each other's inverse", () => {
  each(whole, (scene) => {
    for (const panel of scene.tensors) {
      for (let cell = 0; cell < panel.cells; cell += 1)
        assert.equal(panel.cell(panel.place(cell)), cell);
      assert.equal(panel.cells, panel.values.length);
    }
  });
});

const key = ({ x, w, y }) => `${x} ${w} ${y}`;

test("an output cell's terms are the rows that land in it, in their order", () => {
  each(whole, (scene, { about }) => {
    const { x, w, y } = scene.columns;
    const landed = new Map();
    for (const row of rowsOf(scene)) {
      landed.set(y[row], [...(landed.get(y[row]) ?? []), { x: x[row], w: w[row], y: y[row] }]);
    }
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      assert.deepEqual(scene.termsOf(cell).map(key), (landed.get(cell) ?? []).map(key), about);
    }
  });
});

test("an input value's uses are the rows that read it", () => {
  each(whole, (scene, { about }) => {
    const { x, w, y } = scene.columns;
    const read = new Map();
    for (const row of rowsOf(scene)) {
      read.set(x[row], [...(read.get(x[row]) ?? []), { x: x[row], w: w[row], y: y[row] }]);
    }
    for (let cell = 0; cell < scene.input.cells; cell += 1) {
      assert.deepEqual(
        scene.usesOf(cell).map(key).sort(),
        (read.get(cell) ?? []).map(key).sort(),
        about,
      );
    }
  });
});

test("an output cell's written sum is its terms, and adds up", () => {
  each(whole, (scene, { about }) => {
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      const sum = scene.sumOf(cell);
      assert.equal(sum.terms.length, scene.termsOf(cell).length);
      assert.equal(sum.name, scene.output.cellName(cell));
      assert.equal(sum.cropped, scene.output.marked(cell, "crop"), about);
      if (scene.dtype !== "int64" || !sum.complete) continue;
      const written = sum.terms.map(({ numbers }) =>
        numbers.replace(/[()]/g, "").split("*").map(Number),
      );
      const total =
        written.reduce((all, [a, b]) => all + a * b, 0) + (sum.cropped ? 0 : (sum.bias ?? 0));
      assert.equal(String(total + 0), sum.total, `${about}: ${sum.name}`);
      if (!sum.cropped) assert.ok(sum.agrees && sum.torch === sum.total, `${about}: ${sum.name}`);
    }
  });
});

test("a gathered cell's window holds its input values, as many places long as the kernel reaches", () => {
  const gathered = whole.filter(({ scene }) => scene.order === "gather");
  assert.ok(gathered.length > 20);
  each(gathered, (scene, { about }) => {
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      const channels = new Set(
        scene.links.filter(([, , y]) => y === scene.output.place(cell)[0]).map(([x]) => x),
      );
      const terms = scene.termsOf(cell).map((term) => term.x);
      for (const channel of channels) {
        const covered = scene.windowOf(cell, channel);
        assert.equal(
          new Set(covered).size,
          scene.reach.reduce((all, size) => all * size, 1),
          about,
        );
        assert.ok(
          covered.every((at) => at >= 0 && scene.input.place(at)[0] === channel),
          about,
        );
        // What else the kernel covers are zeros, or inputs between its taps.
        const inside = terms.filter((at) => scene.input.place(at)[0] === channel);
        assert.ok(
          inside.every((at) => covered.includes(at)),
          about,
        );
      }
    }
  });
});

test("a window holds the steps that end in it", () => {
  assert.ok(
    holds({ start: 0, stop: 5 }, 0) &&
      holds({ start: 0, stop: 5 }, 5) &&
      holds({ start: 5, stop: 9 }, 6),
  );
  assert.ok(
    !holds({ start: 0, stop: 5 }, 6) &&
      !holds({ start: 5, stop: 9 }, 5) &&
      !holds({ start: 5, stop: 9 }, 0),
  );
});

test("torch's cells are the output's that are not cropped, one to one", () => {
  each(whole, (scene) => {
    const seen = new Set();
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      const there = scene.torchCell[cell];
      assert.equal(there < 0, scene.output.marked(cell, "crop"));
      if (there < 0) continue;
      seen.add(there);
      assert.equal(scene.torch.cellName(there), scene.output.cellName(cell));
    }
    assert.equal(seen.size, scene.torch.cells);
  });
});

// -- stepping ------------------------------------------------------------------------------------

test("next and back stop where a unit ends, at every level", () => {
  each(whole, (scene, { about }) => {
    const { total } = scene;
    for (let level = 0; level < scene.units.length; level += 1) {
      const ends = rowsOf(scene).filter((row) => row > 0 && scene.level(row) >= level);
      const stops = [0, ...ends, total];
      const forward = [0];
      while (forward.at(-1) < total) forward.push(scene.next(forward.at(-1), level));
      assert.deepEqual(forward, stops, `${about}: ${scene.units[level]} forward`);
      const backward = [total];
      while (backward.at(-1) > 0) backward.push(scene.back(backward.at(-1), level));
      assert.deepEqual(backward.reverse(), stops, `${about}: ${scene.units[level]} back`);
      assert.equal(scene.next(total, level), total);
      assert.equal(scene.back(0, level), 0);
    }
  });
});

test("a unit starts at the last row before it that begins one", () => {
  each(whole.slice(0, 20), (scene) => {
    for (let level = 0; level < scene.units.length; level += 1) {
      for (const row of rowsOf(scene)) {
        const begins = rowsOf(scene).filter(
          (at) => at <= row && (at === 0 || scene.level(at) >= level),
        );
        assert.equal(scene.unitStart(row, level), begins.at(-1));
      }
    }
  });
});

for (const walk of WALKS) {
  test(`stepping through windows comes by every MAC, ${walk}`, () => {
    const all = windows(walk);
    const { total } = all[0];
    const holding = (step) =>
      all.find((scene) => step > scene.start && step <= scene.stop) ?? all[0];
    let step = 0;
    for (let count = 0; step < total; count += 1) {
      assert.equal(step, count);
      step = holding(step).next(step, 0);
    }
    for (let count = total; step > 0; count -= 1) {
      assert.equal(step, count);
      step = holding(step).back(step, 0);
    }
    for (let level = 1; level < all[0].units.length; level += 1) {
      let at = 0;
      for (let count = 0; at < total; count += 1) {
        const next = holding(at).next(at, level);
        assert.ok(next > at && count <= total, "no step goes nowhere");
        at = next;
      }
    }
  });

  test(`playing over a window's end gives what the next window holds, ${walk}`, () => {
    const all = windows(walk);
    let compared = 0;
    for (const [at, scene] of all.slice(1).entries()) {
      const before = all[at];
      const filling = new Filling(before);
      filling.go(scene.start);
      // A window shows its own stretch of a long axis: cells are the same where their names are.
      const named = new Map();
      for (let cell = 0; cell < before.output.cells; cell += 1)
        named.set(before.output.cellName(cell), cell);
      for (let cell = 0; cell < scene.output.cells; cell += 1) {
        const there = named.get(scene.output.cellName(cell));
        if (there === undefined) continue;
        compared += 1;
        assert.equal(filling.stages[there], scene.columns.stage[cell]);
        if (scene.columns.stage[cell] !== EMPTY)
          assert.equal(filling.values[there], scene.columns.held[cell]);
      }
    }
    assert.ok(compared > 0);
  });
}

test("every step has a sentence, in every unit", () => {
  each(whole.slice(0, 24), (scene, { about }) => {
    for (let level = 0; level < scene.units.length; level += 1) {
      for (let step = 0; step <= scene.total; step += 1) {
        assert.doesNotMatch(scene.sentence(step, level), /undefined|NaN|null|\[object/, about);
      }
    }
  });
});

test("a MAC's sentence has its indices, its numbers and its sum", () => {
  each(whole, (scene, { names, about }) => {
    const { product, before, after } = scene.columns;
    for (const row of rowsOf(scene)) {
      const [x, w, y] = names[row];
      const said = scene.sentence(row + 1, 0);
      const numbers = `${number(scene.input.values[scene.columns.x[row]])} * ${number(scene.weight.values[scene.columns.w[row]])}`;
      const start = scene.kept(row)
        ? `${y} += ${x} * ${w} = ${numbers}: ${number(before[row])} -> ${number(after[row])}`
        : `${y} is outside the output: ${x} * ${w} = ${numbers} = ${number(product[row])} is cropped by padding`;
      assert.ok(said.startsWith(start), `${about}: ${said}`);
    }
  });
});

test("the same MAC is found in the other order", () => {
  for (let at = 0; at < whole.length; at += 2) {
    const [one, other] = [whole[at].scene, whole[at + 1].scene];
    const rows = new Set();
    for (const row of rowsOf(one)) {
      const step = other.stepOf(one.identity(row));
      assert.deepEqual(whole[at + 1].names[step - 1], whole[at].names[row]);
      rows.add(step);
    }
    assert.equal(rows.size, one.total);
  }
});

// -- filling -------------------------------------------------------------------------------------

/** What the cells hold after a step, worked out from the rows alone. */
function directly(scene, step) {
  const values = scene.columns.held.slice();
  const stages = scene.columns.stage.slice();
  for (let row = 0; row < step - scene.start; row += 1) {
    const cell = scene.columns.y[row];
    const done = scene.completes(row);
    values[cell] = done ? scene.output.values[cell] : scene.columns.after[row];
    stages[cell] = done ? DONE : FILLING;
  }
  return { values, stages };
}

test("filling forward, back and in leaps gives what applying the rows gives", () => {
  const windowed = scenes.filter(({ kind }) => kind.startsWith("windows"));
  each([...whole, ...windowed], (scene, { about }) => {
    const filling = new Filling(scene);
    const count = scene.stop - scene.start;
    const steps = [count, 0, Math.ceil(count / 2), Math.ceil(count / 3), count, count - 1, 1].map(
      (at) => scene.start + at,
    );
    for (const step of steps) {
      const old = filling.values.slice();
      const changed = filling.go(step);
      const { values, stages } = directly(scene, step);
      assert.deepEqual(filling.values, values, about);
      assert.deepEqual(filling.stages, stages, about);
      old.forEach((value, cell) =>
        assert.ok(Object.is(value, values[cell]) || changed.has(cell), "told what changed"),
      );
    }
  });
});

test("after the last step the output is the layer's", () => {
  each(whole, (scene, { output, about }) => {
    const filling = new Filling(scene);
    filling.go(scene.total);
    const kept = [...filling.values].filter((_, cell) => !scene.output.marked(cell, "crop"));
    assert.deepEqual(kept.map(Number), output, about);
    assert.ok(
      filling.stages.every((stage) => stage === DONE),
      about,
    );
  });
});
