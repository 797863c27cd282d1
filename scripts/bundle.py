"""Make the browser libraries in convt_trace/ out of their npm packages; needs npm and a network.

Only for whoever raises a version: the bundles are in the repository, so that nobody else needs npm.
Each holds what the pages use of a library and nothing else.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from live_app import ROOT

ESBUILD = "0.28.2"


@dataclass(frozen=True)
class Bundle:
    """One library: where it comes from, what is used of it, and where that goes.

    Attributes
    ----------
    package, version, home : str
        The npm package, and where its source is.
    entry : str
        A module that exports what is used.
    folder : str
        Under convt_trace/.
    styles : str
        What becomes of style sheets: "text" to export them, "empty" to leave them out.
    """

    package: str
    version: str
    home: str
    entry: str
    folder: str
    styles: str = "text"

    @property
    def header(self) -> str:
        """Say what the file is, in its first lines."""
        return (
            f"/*! {self.package} {self.version} ({self.home}), MIT: see {self.licence}.\n"
            " * Bundled from the npm package by scripts/bundle.py; not edited by hand. */\n"
        )

    @property
    def name(self) -> str:
        """The file's name without its suffix."""
        return self.package.removesuffix(".js")

    @property
    def licence(self) -> str:
        """The name of the file with the library's licence."""
        return f"{self.name}.LICENSE"


BUNDLES = (
    Bundle(
        "prism-code-editor",
        "5.4.0",
        "https://github.com/jonpyt/prism-code-editor",
        """\
export { createEditor } from "prism-code-editor";
export { defaultCommands, editHistory } from "prism-code-editor/commands";
export { insertText } from "prism-code-editor/utils";
import "prism-code-editor/prism/languages/python";
import "prism-code-editor/languages/python";
export { default as layout } from "prism-code-editor/layout.css";
""",
        "app/editor",
    ),
    # Heatmaps alone: a quarter of the whole, and a sixth of the time to start.
    Bundle(
        "plotly.js",
        "4.1.1",
        "https://github.com/plotly/plotly.js",
        """\
import Plotly from "plotly.js/lib/core";
import heatmap from "plotly.js/lib/heatmap";
Plotly.register([heatmap]);
export default Plotly;
""",
        "player",
        styles="empty",  # they are for maps
    ),
)


def make(bundle: Bundle) -> None:
    """Write a bundle and its licence."""
    target = ROOT / "convt_trace" / bundle.folder
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "entry.js").write_text(bundle.entry)
        packages = [f"{bundle.package}@{bundle.version}", f"esbuild@{ESBUILD}"]
        subprocess.run(["npm", "install", "--no-save", *packages], cwd=folder, check=True)
        command = [
            *("node_modules/.bin/esbuild", "entry.js", "--bundle", "--minify", "--format=esm"),
            *(f"--loader:.css={bundle.styles}", "--define:global=window", "--target=es2022"),
            "--outfile=out.js",
        ]
        subprocess.run(command, cwd=folder, check=True)
        text = (folder / "out.js").read_text()
        (target / f"{bundle.name}.js").write_text(bundle.header + text)
        licence = folder / "node_modules" / bundle.package / "LICENSE"
        shutil.copyfile(licence, target / bundle.licence)


def main() -> None:
    """Make every bundle."""
    for bundle in BUNDLES:
        make(bundle)


if __name__ == "__main__":
    main()
