// How a number is written. `number` is the rule of every sentence, the same as `number` in
// convt_trace/answers/sums.py: tests/numbers.json holds examples that both have to meet.
// `short` is for the cells of the picture, which have room for a few characters only.

const WHOLE = 1e15; // whole numbers below are written in full
const DIGITS = 5;

/**
 * A number as people write it: whole ones in full, others rounded to `digits` significant digits.
 * @param {number | bigint} value
 */
export function number(value, digits = DIGITS) {
  if (typeof value === "bigint") return value.toString();
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (isShortWhole(value)) return String(value); // of -0 it is 0
  return rounded(value, digits);
}

/**
 * A number in at most `room` characters, with fewer digits where need be; "" where none would do.
 * @param {number | bigint} value
 * @param {number} room
 */
export function short(value, room) {
  const full = number(value);
  if (full.length <= room) return full;
  const fewer = [4, 3, 2, 1].map((digits) => rounded(Number(value), digits));
  const withoutNought = fewer.map((text) => text.replace(/^(-?)0\./, "$1.")); // -0.5 as -.5
  const fits = [...fewer, ...withoutNought].find((text) => text.length <= room);
  if (fits !== undefined) return fits;
  const about = Number.isInteger(Number(value)) ? "" : `≈${Math.round(Number(value))}`;
  return about.length <= room ? about : "";
}

/**
 * The text of two numbers that differ, with as many digits as tell them apart.
 * @param {number | bigint} one
 * @param {number | bigint} other
 */
export function toldApart(one, other) {
  for (let digits = DIGITS; digits < 17; digits += 1) {
    const texts = [number(one, digits), number(other, digits)];
    if (texts[0] !== texts[1]) return texts;
  }
  return [number(one, 17), number(other, 17)];
}

/**
 * Whether `number` loses nothing.
 * @param {number | bigint} value
 */
export function isExact(value) {
  if (typeof value === "bigint" || !Number.isFinite(value) || isShortWhole(value)) return true;
  return Number(rounded(value, DIGITS)) === value;
}

/** @param {number} value */
function isShortWhole(value) {
  return Number.isInteger(value) && Math.abs(value) < WHOLE;
}

/**
 * A number rounded, so that it never reads as a whole number that it is not.
 * @param {number} value
 * @param {number} digits
 */
function rounded(value, digits) {
  if (!Number.isFinite(value)) return number(value);
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  const exponent = Number(power);
  if (isShortWhole(value) || exponent < -4 || exponent >= 15)
    return `${withoutZeros(mantissa)}e${exponent}`;
  const plain = value.toFixed(Math.max(1, digits - 1 - exponent));
  const bare = withoutZeros(plain);
  return bare.includes(".") ? bare : plain; // 7.999999 is written 8.0000
}

/** @param {string} text */
function withoutZeros(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
