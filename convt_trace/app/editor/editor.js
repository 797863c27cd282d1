// The editor of pasted text. The editing itself is prism-code-editor's: a textarea under highlighted
// text, so that selecting, pasting and spelling are the browser's own.
//
// What is typed is remembered here, in the browser, at every key: it outlives an error, a page change,
// a reload and the server.

import {
  createEditor,
  defaultCommands,
  editHistory,
  insertText,
  layout,
} from "./prism-code-editor.js";

const STORED_AS = "convt-trace:text";
const editors = new WeakMap();

/** Mount the editor on a Streamlit component, or give a mounted one its new data. */
export function mount({ data, parentElement, setTriggerValue }, { style }) {
  let editor = editors.get(parentElement);
  if (!editor) {
    editor = new Editor(parentElement, style);
    editors.set(parentElement, editor);
  }
  editor.send = (text) => setTriggerValue("run", { text, at: Date.now() });
  editor.receive(data);
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Whether a colour is a light one; text is, in the dark theme. */
function isLight(color) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = color.trim();
  probe.fillRect(0, 0, 1, 1);
  const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
  return r + g + b > 382;
}

/** Read what this browser remembers: this tab's own text first, else the one last typed anywhere. */
function recall(tab, browser) {
  const read = (storage) => {
    try {
      const stored = JSON.parse(storage.getItem(STORED_AS));
      return typeof stored?.text === "string" ? stored : null;
    } catch {
      return null;
    }
  };
  const own = read(tab);
  if (own) return own;
  const last = read(browser);
  // Another tab's: the link that this one was opened with goes before it.
  return last && { ...last, load: null };
}

/** Remember it; storage may be full or forbidden, and the text is on the page all the same. */
function remember(memory, ...storages) {
  for (const storage of storages) {
    try {
      storage.setItem(STORED_AS, JSON.stringify(memory));
    } catch {
      // nothing to be done
    }
  }
}

function storages() {
  return ["sessionStorage", "localStorage"].map((name) => {
    try {
      return window[name];
    } catch {
      return { getItem: () => null, setItem: () => {} };
    }
  });
}

function isNotebook(text) {
  try {
    const book = JSON.parse(text);
    return Array.isArray(book.cells ?? book.worksheets);
  } catch {
    return false;
  }
}

class Editor {
  constructor(parent, style) {
    this.storages = storages();
    this.send = (_text) => {};
    this.memory = recall(...this.storages);
    this.box = make("div", { class: "ce-box" });
    this.button = make(
      "button",
      { type: "button", class: "ce-run", onclick: () => this.run() },
      "Explain",
    );
    this.status = make("span", { class: "ce-status", role: "status" });
    this.back = make(
      "button",
      { type: "button", class: "ce-back", onclick: () => this.bringBack() },
      "Back to your own text",
    );
    const apple = /Mac|iP(hone|ad)/.test(navigator.platform);
    const keys = make("kbd", {}, apple ? "⌘ Enter" : "Ctrl Enter");
    this.file = make("input", {
      type: "file",
      accept: ".py,.ipynb,.txt,.md",
      hidden: "",
      "aria-label": "A file with code",
      onchange: () => this.open(this.file.files[0]),
    });
    const open = make(
      "button",
      {
        type: "button",
        class: "ce-open",
        title: "A .py, .txt or .ipynb file; it can be dropped here, too",
        onclick: () => this.file.click(),
      },
      "Open a file",
    );
    const bar = make(
      "div",
      { class: "ce-bar" },
      ...[this.button, keys, open, this.file, this.status, this.back],
    );
    const sheet = make("style");
    sheet.textContent = layout;
    this.root = make("div", { class: "ce" }, this.box, bar);
    parent.append(sheet, make("link", { rel: "stylesheet", href: style }), this.root);
    this.box.addEventListener("keydown", (event) => this.key(event), true);
    this.root.addEventListener("dragover", (event) => event.preventDefault());
    this.root.addEventListener("drop", (event) => {
      const [file] = event.dataTransfer.files;
      if (!file) return; // dropped text goes where the caret is
      event.preventDefault();
      this.open(file);
    });
  }

  receive(data) {
    this.data = data;
    this.root.classList.toggle(
      "ce-night",
      isLight(getComputedStyle(this.root).getPropertyValue("--st-text-color")),
    );
    const load = data.load;
    if (!this.editor) {
      const start = load && load.id !== this.memory?.load ? null : this.memory;
      this.create(start?.text ?? load?.text ?? data.first);
      // An example takes the place of what was typed here; that stays within reach.
      if (this.memory && !start && !this.memory.given && this.memory.text.trim())
        this.memory.own = this.memory.text;
      if (!start) this.took(load?.id ?? null);
    } else if (load && load.id !== this.memory.load) {
      this.replace(load.text);
      this.took(load.id);
    }
    this.show();
    // After a reload the server knows nothing: what had been explained is explained again.
    if (data.source === null && !this.asked && this.memory.ran) this.run();
  }

  create(text) {
    this.editor = createEditor(
      this.box,
      {
        language: "python",
        tabSize: 4,
        value: text,
        class: "ce-editor",
        onUpdate: () => this.changed(),
      },
      defaultCommands(),
      editHistory(),
    );
    const area = this.editor.textarea;
    area.setAttribute("aria-label", "Your snippet");
    area.placeholder = "Paste PyTorch code here";
    this.text = text;
  }

  /** Put another text in; undo (Ctrl+Z) brings the last one back, and so does the button. */
  replace(text) {
    const before = this.editor.value;
    if (before.trim() && !this.memory.given) this.memory.own = before;
    const focused = document.activeElement;
    insertText(this.editor, text, 0, before.length, 0);
    if (this.editor.value !== text) this.editor.setOptions({ value: text }); // where inserting is not allowed
    if (focused && !this.box.contains(focused)) this.editor.textarea.blur();
    this.editor.container.scrollTo(0, 0);
    this.text = text;
  }

  /** Note that the text in the editor is the one that was handed over under this name. */
  took(load) {
    this.memory = {
      text: this.editor.value,
      load,
      ran: true,
      given: true,
      own: this.memory?.own ?? "",
    };
    remember(this.memory, ...this.storages);
  }

  /** Explain a file. The code of a notebook comes back from the server, which knows how to find it. */
  async open(file) {
    if (!file) return;
    const text = await file.text();
    this.file.value = "";
    if (isNotebook(text)) {
      this.send(text);
      return;
    }
    this.replace(text);
    this.run();
  }

  bringBack() {
    const own = this.memory.own;
    this.replace(own);
    this.memory = { ...this.memory, text: own, ran: false, given: false, own: "" };
    remember(this.memory, ...this.storages);
    this.run();
  }

  changed() {
    if (!this.editor || this.editor.value === this.text) return;
    this.text = this.editor.value;
    this.memory = { ...this.memory, text: this.text, ran: false, given: false };
    remember(this.memory, ...this.storages);
    this.show();
  }

  run() {
    const text = this.editor.value;
    this.asked = true;
    this.memory = { ...this.memory, text, ran: true };
    remember(this.memory, ...this.storages);
    this.send(text);
    this.show();
  }

  show() {
    const { data, editor } = this;
    const fresh = data.source === editor.value;
    const extra = editor.value.length - data.limit;
    this.status.textContent =
      extra > 0
        ? `${extra.toLocaleString("en")} characters more than the ${data.limit.toLocaleString("en")} that are read`
        : fresh || data.source === null
          ? ""
          : "changed since it was explained";
    this.back.hidden = !this.memory.own || this.memory.own === editor.value;
    this.mark(fresh ? data.marks : []);
  }

  mark(marks) {
    for (const line of [...this.editor.lines].slice(1)) {
      const mark = marks.find((one) => this.editor.lines[one.line] === line);
      line.classList.toggle("ce-error", mark?.kind === "error");
      line.classList.toggle("ce-call", mark?.kind === "call");
      line.toggleAttribute("data-marked", Boolean(mark));
    }
    const error = marks.find((one) => one.kind === "error");
    this.editor.textarea.setAttribute("aria-invalid", String(Boolean(error)));
    // Bring an error into sight once, not at every rerun.
    const place = error ? `${error.line}:${this.editor.value}` : "";
    if (place && place !== this.sought) this.seek(this.editor.lines[error.line]);
    this.sought = place;
  }

  seek(line) {
    const { container } = this.editor;
    if (!line) return;
    const top = line.offsetTop;
    if (
      top < container.scrollTop ||
      top + line.offsetHeight > container.scrollTop + container.clientHeight
    ) {
      container.scrollTop = Math.max(0, top - container.clientHeight / 2);
    }
  }

  key(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.stopPropagation();
      this.run();
    } else if (event.key === "Escape") {
      this.button.focus(); // Tab indents; this is the way out for a keyboard
    }
  }
}
