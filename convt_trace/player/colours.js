// The colours of values, read off the style sheet, so that the page's theme decides them.

/**
 * A CSS colour as [r, g, b].
 * @param {string} text
 */
function parseColor(text) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = text;
  probe.fillRect(0, 0, 1, 1);
  return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

/**
 * How light a colour is, from 0 to 1, as WCAG defines it.
 * @param {number[]} color
 */
function luminance([r, g, b]) {
  const [x, y, z] = [r, g, b].map((channel) => {
    const c = channel / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

/** Whether the page is dark. */
export function isNight(element) {
  const paper = getComputedStyle(element).getPropertyValue("--ct-paper").trim();
  return luminance(parseColor(paper)) < 0.2;
}

/** The colours of values: negative - zero - positive, read off the style sheet. */
export class Scale {
  constructor(element) {
    const style = getComputedStyle(element);
    const read = (name) => parseColor(style.getPropertyValue(name).trim());
    this.negative = read("--ct-negative");
    this.zero = read("--ct-zero");
    this.positive = read("--ct-positive");
  }

  get plotly() {
    const rgb = (/** @type {number[]} */ color) => `rgb(${color})`;
    return [
      [0, rgb(this.negative)],
      [0.5, rgb(this.zero)],
      [1, rgb(this.positive)],
    ];
  }

  /** A value's colour, [r, g, b], as plotly mixes it. */
  color(value, limit) {
    const share = Math.max(-1, Math.min(1, Number(value) / limit || 0));
    const end = share < 0 ? this.negative : this.positive;
    return this.zero.map((c, at) => Math.round(c + (end[at] - c) * Math.abs(share)));
  }

  /** Whether text on this value's colour has to be dark. */
  wantsDark(value, limit) {
    return luminance(this.color(value, limit)) > 0.179; // where black and white text contrast alike
  }
}
