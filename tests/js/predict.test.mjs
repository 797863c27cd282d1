// predict.js: what is hidden, what counts as right, and hints that never say the result.

import assert from "node:assert/strict";
import { test } from "node:test";

import { hiddenCells, hint, HINTS, judge, Quiz } from "../../convt_trace/player/predict.js";
import { number } from "../../convt_trace/player/number.js";
import { DONE, Filling } from "../../convt_trace/player/filling.js";
import { decode } from "../../convt_trace/player/scene.js";
import { messages } from "./lib/scenes.mjs";

const scenes = messages().map(({ kind, message }) => ({ kind, scene: decode(message) }));
const whole = scenes.filter(({ kind }) => kind === "whole").map(({ scene }) => scene);

test("whole numbers are to be hit, fractions to 1 %", () => {
  const cases = [
    ["8", 8, true],
    [" 8 ", 8, true],
    ["8.0", 8, true],
    ["+8", 8, true],
    ["8,0", 8, true],
    ["7", 8, false],
    ["8.01", 8, false],
    ["−3", -3, true],
    ["–3", -3, true],
    ["3", -3, false],
    [".5", 0.5, true],
    ["1e2", 100, true],
    ["0.33", 1 / 3, true],
    ["0.3", 1 / 3, false],
    ["0", 1e-8, true],
    ["0", 0.1, false],
    ["-0", 0, true],
    ["nan", NaN, true],
    ["NaN", 3, false],
    ["inf", Infinity, true],
    ["-inf", -Infinity, true],
    ["inf", -Infinity, false],
    ["5", Infinity, false],
    ["4611686018427387904", 2n ** 62n, true],
    ["4611686018427387905", 2n ** 62n, false],
    ["3.0", 3n, true],
    ["1234567", 1234568.9, true],
  ];
  for (const [text, value, right] of cases)
    assert.equal(judge(text, value), right, `${text} for ${value}`);
});

test("what is not a number is neither right nor wrong", () => {
  for (const text of ["", " ", "eight", "1.2.3", "--1", "0x10", "1/2", "e5", "<b>"])
    assert.equal(judge(text, 8), null, text);
});

test("from step 0 on everything is hidden", () => {
  for (const scene of whole) assert.equal(hiddenCells(scene, 0).size, scene.output.cells);
});

test("from a later step on, what is not done by then is hidden", () => {
  for (const scene of whole) {
    for (const from of [1, Math.floor(scene.stop / 2), scene.stop, scene.stop + 99].filter(
      (at) => at > 0,
    )) {
      const filling = new Filling(scene);
      filling.go(Math.min(from, scene.stop));
      const hidden = hiddenCells(scene, from);
      for (let cell = 0; cell < scene.output.cells; cell += 1) {
        assert.equal(hidden.has(cell), filling.stages[cell] !== DONE);
      }
    }
  }
});

test("a window that begins after that step hides everything", () => {
  const later = scenes.map(({ scene }) => scene).filter((scene) => scene.start > 1);
  assert.ok(later.length > 3);
  for (const scene of later) assert.equal(hiddenCells(scene, 1).size, scene.output.cells);
});

test("hints go from inputs to taps to numbers, and the numbers add up", () => {
  for (const scene of whole) {
    for (let cell = 0; cell < scene.output.cells; cell += 1) {
      const sum = scene.sumOf(cell);
      const [inputs, taps, products] = [1, 2, 3].map((level) => hint(scene, cell, level));
      assert.equal(inputs.taps.length, 0);
      assert.deepEqual(new Set(inputs.inputs), new Set(sum.terms.map((term) => term.x)));
      if (!sum.terms.length || sum.terms.length > 24) continue;
      assert.deepEqual(
        taps.taps,
        sum.terms.map((term) => term.w),
      );
      assert.ok(!inputs.text.includes("w["));
      assert.ok(!taps.text.includes("="));
      if (sum.cropped || !sum.complete) continue;
      const written = products.text
        .replace(/^.*?: /, "")
        .replace(" (bias)", "")
        .replace(/\.$/, "");
      const total = written
        .split(" + ")
        .map((term) => term.split("*").map((part) => Number(part.replace(/[()]/g, ""))));
      const added = total.reduce(
        (all, factors) => all + factors.reduce((product, factor) => product * factor, 1),
        0,
      );
      assert.equal(number(added + 0), number(Number(scene.output.values[cell])), written);
    }
  }
});

test("a score counts answers, first tries and hints", () => {
  const quiz = new Quiz();
  assert.equal(quiz.score(2), "0 of 2 cells right · 0 on the first try · 0 answers · 0 hints");
  quiz.answer("a", true);
  quiz.answer("b", false);
  assert.equal(quiz.takeHint("b"), 1);
  quiz.answer("b", true);
  assert.equal(quiz.score(2), "2 of 2 cells right · 1 on the first try · 3 answers · 1 hint");
  for (let more = 0; more < 9; more += 1) quiz.takeHint("b");
  assert.equal(quiz.hinted.get("b"), HINTS);
});

test("a first try with a hint is none", () => {
  const quiz = new Quiz();
  quiz.takeHint("a");
  quiz.answer("a", true);
  assert.equal(quiz.score(1), "1 of 1 cell right · 0 on the first try · 1 answer · 1 hint");
});

test("a cell is found by the name that links give it", () => {
  for (const scene of whole) {
    for (const panel of ["input", "weight", "output", "torch"]) {
      for (let cell = 0; cell < scene[panel].cells; cell += 1) {
        const name = scene.textOf({ panel, cell });
        if (name) assert.deepEqual(scene.find(name), { panel, cell });
      }
    }
    assert.equal(scene.find("output:999,999,999"), null);
    assert.equal(scene.find("nowhere:0"), null);
  }
});

test("of a hidden cell no sentence tells a number", () => {
  for (const scene of whole) {
    for (let step = 1; step <= scene.stop; step += 1) {
      const row = step - 1 - scene.start;
      const said = scene.sentence(step, 0, () => true);
      assert.ok(!/=|->|done/.test(said.replace("+=", "")), said);
      const other = scene.sentence(step, 0, (cell) => cell !== scene.columns.y[row]);
      assert.equal(other, scene.sentence(step, 0));
    }
  }
});
