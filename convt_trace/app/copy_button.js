// A button that copies a text, without a trip to the server.

const buttons = new WeakMap();

/** Mount a button on a Streamlit component, or give a mounted one its new text. */
export function mount({ data, parentElement }, { style }) {
  let button = buttons.get(parentElement);
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    button.className = "copy-button";
    const sheet = document.createElement("link");
    Object.assign(sheet, { rel: "stylesheet", href: style });
    parentElement.append(sheet, button);
    buttons.set(parentElement, button);
  }
  button.textContent = data.label;
  button.onclick = async () => {
    button.textContent = (await copied(data.text))
      ? "Copied"
      : "Select the text and copy it by hand";
    setTimeout(() => (button.textContent = data.label), 2000);
  };
}

/** Copy a text; also where the page came over plain HTTP and the clipboard is not offered. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.style = "position:fixed;opacity:0";
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
