"""A figure in a file: a picture as it stands, or the walk as a moving one.

kaleido draws with an installed Chrome or Chromium, and Pillow puts moving pictures together.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from convt_trace.engine.case import Case
from convt_trace.engine.extras import require
from convt_trace.engine.trace import Trace
from convt_trace.figures.drawing import END_MS, FRAME_MS, graph_objects
from convt_trace.figures.errors import FigureError
from convt_trace.figures.figure import Picture

STILL, MOVING = ("png", "svg", "pdf"), ("gif", "webp")
#: Kinds of files, by their endings.
KINDS = (*STILL, *MOVING)
#: Pictures in a moving file, at most: each takes the browser some tenths of a second.
MOST_PICTURES = 150
#: Pixels of a PNG for a pixel of the figure; a moving picture has one.
SHARP = 2


def kind_of(path: str | Path) -> str:
    """Return the kind of picture that a file's name asks for; empty for none.

    >>> kind_of("walk.GIF"), kind_of("lesson.html")
    ('gif', '')
    """
    ending = Path(path).suffix.lower().removeprefix(".")
    return ending if ending in KINDS else ""


def save(path: str | Path, shown: Case | Trace, step: int | None = None, **options: Any) -> int:
    """Write a case as a picture; its kind is told by the file's ending.

    Parameters
    ----------
    path : str or Path
        It ends in one of `KINDS`; a GIF or a WebP moves from ``step`` on to the end of the walk.
    shown : Case or Trace
    step : int, optional
    **options
        As of `convt_trace.figure`, but for ``animate``.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    FigureError
        If there is no such kind, no browser to draw with, or a walk of more than `MOST_PICTURES` steps.
    MissingError
        If plotly, kaleido or Pillow is not installed.
    """
    kind = kind_of(path)
    if not kind:
        raise FigureError(f"{path}: a picture ends in one of .{', .'.join(KINDS)}.")
    graph_objects()
    picture = Picture.of(shown, step, **options)
    if kind in STILL:
        (data,) = drawn([picture.still()], kind)
    else:
        data = moving(drawn(picture.stills(MOST_PICTURES), "png", scale=1), kind)
    return Path(path).write_bytes(data)


def drawn(figures: Sequence[Any], kind: str, scale: float = SHARP) -> list[bytes]:
    """Return figures as files of a kind of `STILL`, drawn by one browser."""
    kaleido, errors = require("kaleido"), import_module("choreographer.errors")
    with TemporaryDirectory() as folder:
        files = [Path(folder) / f"{at}.{kind}" for at in range(len(figures))]
        asked = [
            {"fig": figure, "path": file, "opts": {"format": kind, "scale": scale}}
            for figure, file in zip(figures, files)
        ]
        # Without MathJax nothing is fetched from the network.
        options: dict[str, Any] = {"mathjax": False}
        if named := os.environ.get("CHROME"):
            options["path"] = shutil.which(named) or named
        for name in ("choreographer", "kaleido"):  # what goes wrong is told below, in one sentence
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            kaleido.write_fig_from_object_sync(asked, kopts=options)
        except (
            errors.ChromeNotFoundError, errors.BrowserFailedError, errors.BrowserClosedError,
            errors.ChannelClosedError, OSError,
        ) as error:  # fmt: skip
            raise FigureError(_NO_BROWSER) from error
        return [file.read_bytes() for file in files]


_NO_BROWSER = (
    "A picture is drawn by Chrome or Chromium, and none was found that runs: install one (Debian, Ubuntu: "
    "sudo apt-get install chromium; elsewhere: plotly_get_chrome), or name it: BROWSER_PATH=/path/to/chrome."
)


def moving(pictures: Sequence[bytes], kind: str) -> bytes:
    """Return PNGs as one picture that goes through them, and starts again after a rest."""
    Image = require("PIL.Image")
    frames = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    durations = [FRAME_MS] * (len(frames) - 1) + [END_MS]
    if kind == "gif":
        frames = _in_one_palette(frames)
    made = BytesIO()
    look: dict[str, Any] = (
        {"lossless": True, "minimize_size": True} if kind == "webp" else {"optimize": False}
    )
    frames[0].save(
        made,
        kind.upper(),
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        **look,
    )
    return made.getvalue()


def _in_one_palette(frames: Sequence[Any]) -> list[Any]:
    """Return frames in the most frequent colours of all: those keep their shade exactly."""
    from PIL import Image

    counted: Counter[tuple[int, int, int]] = Counter()
    for frame in frames:
        found = frame.getcolors(frame.width * frame.height)
        counted.update({color: count for count, color in found})
    common = np.array([color for color, _ in counted.most_common(256)], dtype=np.int64)
    made = []
    for frame in frames:
        pixels = np.asarray(frame).reshape(-1, 3)
        colors, places = np.unique(pixels, axis=0, return_inverse=True)
        apart = ((colors[:, None].astype(np.int64) - common) ** 2).sum(axis=2)
        nearest = apart.argmin(axis=1).astype(np.uint8)[places.ravel()]
        small = Image.fromarray(nearest.reshape(frame.height, frame.width), "P")
        small.putpalette(common.astype(np.uint8).tobytes())
        made.append(small)
    return made
