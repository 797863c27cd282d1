"""A short walk through the app in Firefox; `make test` says in a line of its own where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import find_firefox
from live_app import ROOT, App

#: Node comes with the test requirements, beside Python.
NODE = Path(sys.executable).with_name("node")


def test_a_short_walk_in_firefox(app_server: App) -> None:
    firefox = find_firefox.find()
    if firefox is None:
        pytest.skip(find_firefox.NONE)
    walk = subprocess.run(
        [NODE, ROOT / "tests" / "firefox" / "walk.mjs", app_server.url, firefox],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert walk.returncode == 0, walk.stderr
