"""Make convt_trace/editor/prism-code-editor.js out of the npm package; needs npm and a network.

Only for whoever raises the editor's version: the bundle (19 kB, 9 kB compressed) is in the
repository, so that nobody else needs npm.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from live_app import ROOT

VERSION = "5.4.0"
ESBUILD = "0.28.2"
FOLDER = ROOT / "convt_trace" / "editor"

#: What the page uses of it, and nothing else.
ENTRY = """\
export { createEditor } from "prism-code-editor";
export { defaultCommands, editHistory } from "prism-code-editor/commands";
export { insertText } from "prism-code-editor/utils";
import "prism-code-editor/prism/languages/python";
import "prism-code-editor/languages/python";
export { default as layout } from "prism-code-editor/layout.css";
"""

HEADER = f"""\
/*! prism-code-editor {VERSION} (https://github.com/jonpyt/prism-code-editor), MIT: see \
prism-code-editor.LICENSE.
 * Bundled from the npm package by scripts/bundle_editor.py; not edited by hand. */
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "entry.js").write_text(ENTRY)
        packages = [f"prism-code-editor@{VERSION}", f"esbuild@{ESBUILD}"]
        subprocess.run(["npm", "install", "--no-save", *packages], cwd=folder, check=True)
        bundle = [
            *("node_modules/.bin/esbuild", "entry.js", "--bundle", "--minify", "--format=esm"),
            *("--loader:.css=text", "--target=es2022", "--outfile=out.js"),
        ]
        subprocess.run(bundle, cwd=folder, check=True)
        text = (folder / "out.js").read_text()
        (FOLDER / "prism-code-editor.js").write_text(HEADER + text)
        licence = folder / "node_modules" / "prism-code-editor" / "LICENSE"
        shutil.copyfile(licence, FOLDER / "prism-code-editor.LICENSE")


if __name__ == "__main__":
    main()
