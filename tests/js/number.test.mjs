// How numbers are written: tests/numbers.json, which the Python rule has to meet as well.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { number, short, toldApart } from "../../convt_trace/player/number.js";

const examples = JSON.parse(readFileSync(new URL("../numbers.json", import.meta.url), "utf8"));
const WORDS = { nan: NaN, inf: Infinity, "-inf": -Infinity };
const read = ({ dtype, value }) =>
  dtype.includes("int") ? BigInt(value) : (WORDS[value] ?? Number(value));

test("every example is written as the table says", () => {
  assert.ok(examples.number.length > 40);
  for (const example of examples.number)
    assert.equal(number(read(example)), example.text, example.value);
});

test("every example is written short as the table says", () => {
  for (const example of examples.short)
    assert.equal(short(read(example), example.room), example.text, example.value);
});

/** Numbers of every size, as a small generator of its own makes them: the same in every run. */
function* someNumbers(count) {
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let at = 0; at < count; at += 1) {
    const value = (random() - 0.5) * 10 ** Math.floor(random() * 24 - 8);
    yield random() < 0.3 ? Math.round(value) : value;
  }
}

test("a number reads as a whole one only where it is that one", () => {
  for (const value of someNumbers(20_000)) {
    for (const text of [number(value), ...[2, 3, 4, 5, 6].map((room) => short(value, room))]) {
      if (/^-?\d+$/.test(text)) assert.ok(Number(text) === value, `${value} reads ${text}`);
    }
  }
});

test("a short form fits, and is as near as its digits allow", () => {
  for (const value of someNumbers(20_000)) {
    for (const room of [2, 3, 4, 5, 6]) {
      const text = short(value, room);
      assert.ok(text.length <= room, `${value} in ${room}: ${text}`);
      if (!text) continue;
      const slack = text.startsWith("≈") ? 0.5 : Math.abs(value) / 2;
      assert.ok(Math.abs(Number(text.replace("≈", "")) - value) <= slack, `${value} reads ${text}`);
    }
  }
});

test("numbers that differ are told apart, with no more digits than that takes", () => {
  assert.deepEqual(toldApart(1, 2), ["1", "2"]);
  assert.deepEqual(toldApart(1.00001, 1.00002), ["1.00001", "1.00002"]);
  assert.deepEqual(toldApart(8, 7.9999999), ["8", "8.0000"]);
  const [one, other] = toldApart(0.1 + 0.2, 0.3);
  assert.notEqual(one, other);
});
