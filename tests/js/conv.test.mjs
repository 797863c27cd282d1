// scene.js with the messages of plain convolutions: the same lookups, in words of their own.

import assert from "node:assert/strict";
import { test } from "node:test";

import { DONE, Filling } from "../../convt_trace/player/filling.js";
import { lines } from "../../convt_trace/player/layout.js";
import { number } from "../../convt_trace/player/number.js";
import { hint } from "../../convt_trace/player/predict.js";
import { decode, holds } from "../../convt_trace/player/scene.js";
import { messages } from "./lib/scenes.mjs";

const all = messages().map((entry) => ({ ...entry, scene: decode(entry.message) }));
const whole = all.filter(({ kind }) => kind === "conv");
const windows = all.filter(({ kind }) => kind === "conv windows");
const rowsOf = (scene) => Array.from(scene.columns.x.keys());
const each = (entries, check) => entries.forEach((entry) => check(entry.scene, entry));
const key = ({ x, w, y }) => `${x} ${w} ${y}`;

test("there is something to test", () => {
  assert.equal(whole.length, 24);
  assert.ok(windows.length > 2);
  assert.ok(whole.some(({ padded }) => padded > 0) && whole.some(({ padded }) => padded === 0));
  assert.ok(whole.every(({ scene }) => scene.offers.length === 0));
  assert.ok(whole.every(({ scene }) => scene.isConv && scene.macs.all >= scene.total));
  assert.ok(all.some(({ scene }) => !scene.isConv));
});

test("cells are called what Python calls them", () => {
  each([...whole, ...windows], (scene, { names, about }) => {
    const { x, w, y } = scene.columns;
    const said = rowsOf(scene).map((row) => [
      scene.input.cellName(x[row]),
      scene.weight.cellName(w[row]),
      scene.output.cellName(y[row]),
    ]);
    assert.deepEqual(said, names, about);
  });
});

test("an output cell's terms are its rows, in their order, and add up to torch's number", () => {
  each(whole, (scene, { about }) => {
    const { x, w, y } = scene.columns;
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      const rows = rowsOf(scene).filter((row) => y[row] === cell);
      const landed = rows.map((row) => key({ x: x[row], w: w[row], y: cell }));
      assert.deepEqual(scene.termsOf(cell).map(key), landed, about);
      const sum = scene.sumOf(cell);
      const products = sum.terms.map(({ numbers }) =>
        numbers
          .replace(/[()]/g, "")
          .split("*")
          .map(Number)
          .reduce((a, b) => a * b),
      );
      const total = products.reduce((a, b) => a + b, Number(sum.bias ?? 0));
      assert.equal(String(total + 0), sum.total, `${about}: ${sum.name}`);
      assert.ok(sum.agrees && !sum.cropped && sum.torch === sum.total);
      sum.terms.forEach((term) => {
        const name = term.names.split("*")[0];
        assert.equal(name === "0", scene.input.kind(term.x) === "pad", term.names);
      });
    }
  });
});

test("an input value's uses are the rows that read it", () => {
  each(whole, (scene, { about }) => {
    const { x, w, y } = scene.columns;
    for (let cell = 0; cell < scene.input.cells; cell += 1) {
      const read = rowsOf(scene)
        .filter((row) => x[row] === cell)
        .map((row) => key({ x: cell, w: w[row], y: y[row] }));
      assert.deepEqual(scene.usesOf(cell).map(key).sort(), read.sort(), about);
    }
  });
});

test("a cell's window reaches from its first tap to its last, in one input channel", () => {
  each(whole, (scene, { about }) => {
    const size = scene.reach.reduce((product, reach) => product * reach, 1);
    const { x, y } = scene.columns;
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      const channels = new Map();
      for (const row of rowsOf(scene).filter((at) => y[at] === cell)) {
        const [channel, ...place] = scene.input.place(x[row]);
        channels.set(channel, [...(channels.get(channel) ?? []), place]);
      }
      for (const [channel, places] of channels) {
        const covered = scene.windowOf(cell, channel).map((at) => scene.input.place(at));
        assert.equal(covered.length, size, about);
        assert.ok(covered.every(([at]) => at === channel));
        for (const axis of [0, 1, 2]) {
          const [read, seen] = [places, covered.map((place) => place.slice(1))].map((list) =>
            list.map((place) => place[axis]),
          );
          assert.equal(Math.min(...seen), Math.min(...read), about);
          assert.equal(Math.max(...seen), Math.max(...read), about);
        }
      }
    }
  });
});

// -- words ---------------------------------------------------------------------------------------

test("the opening tells how many MACs read a padded zero", () => {
  each(whole, (scene, { padded }) => {
    const said = scene.sentence(0, 0);
    const all = scene.macs.all.toLocaleString("en");
    assert.ok(said.startsWith(`${all} multiply-accumulates`), said);
    const told = `; ${padded.toLocaleString("en")} of them read a padded zero.`;
    assert.equal(said.includes(told), padded > 0, said);
    assert.equal(said.includes("padded"), padded > 0, said);
  });
});

test("a MAC's sentence has its indices, its numbers and its sum", () => {
  each(whole, (scene, { names, about }) => {
    const { x, w, before, after } = scene.columns;
    for (const row of rowsOf(scene)) {
      const [input, weight, output] = names[row];
      const numbers = `${scene.value("input", x[row])} * ${scene.value("weight", w[row])}`;
      const said = scene.sentence(row + 1, 0);
      const start = `${output} += ${input} * ${weight} = ${numbers}: ${number(before[row])} -> ${number(after[row])}`;
      assert.ok(said.startsWith(start), `${about}: ${said}`);
      assert.equal(said.includes("done"), scene.completes(row));
    }
  });
});

test("nothing is flipped, stamped or cropped in any sentence", () => {
  each(whole, (scene, { about }) => {
    for (let level = 0; level < scene.units.length; level += 1) {
      for (let step = 0; step <= scene.total; step += 1) {
        const said = scene.sentence(step, level);
        assert.doesNotMatch(said, /flip|stamp|crop|undefined|NaN|null|\[object/, about);
      }
    }
  });
});

test("a window's sentence names its output cell and its input channel", () => {
  each(whole, (scene, { names, about }) => {
    const level = scene.units.indexOf("window");
    const taps = scene.weight.perChannel;
    for (let step = taps; step <= scene.total && taps > 1; step += taps) {
      const row = step - 1;
      const channel = scene.input.channels[scene.input.place(scene.columns.x[row])[0]];
      const start = `${names[row][2]} collects its window on x[${channel.index}] (${taps} MACs); last: `;
      assert.ok(scene.sentence(step, level).startsWith(start), about);
    }
  });
});

test("hints name the inputs and count the padded zeros", () => {
  each(whole, (scene) => {
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      const { text, inputs } = hint(scene, cell, 1);
      const zeros = inputs.filter((at) => scene.input.kind(at) === "pad").length;
      const said = /(\d+) padded zeros?/.exec(text);
      assert.equal(Number(said?.[1] ?? 0), zeros, text);
      assert.doesNotMatch(text, /a padded zero|: ,/);
    }
  });
});

// -- stepping ------------------------------------------------------------------------------------

test("next and back stop where a unit ends, at every level", () => {
  each(whole, (scene, { about }) => {
    for (let level = 0; level < scene.units.length; level += 1) {
      const ends = rowsOf(scene).filter((row) => row > 0 && scene.level(row) >= level);
      const stops = [0, ...ends, scene.total];
      const forward = [0];
      while (forward.at(-1) < scene.total) forward.push(scene.next(forward.at(-1), level));
      assert.deepEqual(forward, stops, about);
      const backward = [scene.total];
      while (backward.at(-1) > 0) backward.push(scene.back(backward.at(-1), level));
      assert.deepEqual(backward.reverse(), stops, about);
    }
  });
});

test("after the last step the output is the layer's", () => {
  each(whole, (scene, { output, about }) => {
    const filling = new Filling(scene);
    filling.go(scene.total);
    assert.deepEqual([...filling.values].map(Number), output, about);
    assert.ok(filling.stages.every((stage) => stage === DONE));
  });
});

test("windows hold every step, and each output cell fills before the next begins", () => {
  const scenes = windows.map(({ scene }) => scene);
  const { total } = scenes[0];
  for (let step = 0; step <= total; step += 1) {
    const scene = scenes.find((one) => holds(one, step));
    assert.ok(scene, `step ${step}`);
    if (!step) continue;
    const filling = new Filling(scene);
    filling.go(step);
    assert.ok([...filling.stages].filter((stage) => stage === 1).length <= 1);
  }
});

test("a weight in 2-D has a line per output channel", () => {
  const flat = whole.filter(({ scene }) => scene.dims === 2);
  each(flat, (scene) => {
    const outs = lines(scene.weight).map((line) => [
      ...new Set(line.map(({ channel }) => scene.weight.channels[channel].out)),
    ]);
    assert.ok(outs.every((line) => line.length === 1));
    assert.equal(new Set(outs.flat()).size, outs.length);
  });
});
