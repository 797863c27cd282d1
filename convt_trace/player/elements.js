// Making elements: HTML, SVG, the icons of the buttons, and a style sheet that is there before them.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  "First step": "M5 4v16M19 5l-10 7 10 7z",
  "Step back": "M16 5l-10 7 10 7z",
  Play: "M7 4l13 8-13 8z",
  Pause: "M7 4v16M17 4v16",
  "Step forward": "M8 5l10 7-10 7z",
  "Last step": "M19 4v16M5 5l10 7-10 7z",
};

/** An HTML element; `on...` attributes are its listeners, false and null leave an attribute out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** An SVG element. */
export function draw(tag, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== null) element.textContent = text;
  return element;
}

/** An icon of a button, by the button's name. */
export function icon(name) {
  const svg = draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  svg.append(draw("path", { d: ICONS[name] }));
  return svg;
}

/** Load the style sheet beside the player, before anything is shown. */
export function loadStyle(parent, url) {
  if (!url) return Promise.resolve();
  return new Promise((done) => {
    parent.prepend(make("link", { rel: "stylesheet", href: url, onload: done, onerror: done }));
  });
}

/** Whether there is more in an element than is seen. */
export function scrolls({ scrollWidth, clientWidth, scrollHeight, clientHeight }) {
  return scrollWidth > clientWidth || scrollHeight > clientHeight;
}

/** A checkbox with its label. */
export function checkbox(name, checked, run) {
  const box = make("input", { type: "checkbox", checked });
  box.onchange = () => run(box.checked);
  return make("label", {}, box, ` ${name}`);
}

/** A list to choose from; `options` are pairs of a value and its text. */
export function choice(name, options, run) {
  const list = make(
    "select",
    { "aria-label": name },
    ...options.map(([value, text]) => make("option", { value }, text)),
  );
  list.onchange = () => run(list.value);
  return list;
}
