"""One way to start: `make app`, the tests, the benches and the screenshots run the same server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from live_app import ROOT, answers, free_port, running

#: A script that tells what it is run with: each option's value, and where that was said.
TELLING = """
import streamlit as st
from starlette.responses import JSONResponse
from starlette.routing import Route
from streamlit import config

def options(_):
    return JSONResponse({
        name: [option.value, option.where_defined]
        for name, option in config.get_config_options().items()
        if name != "server.cookieSecret" and isinstance(option.value, str | int | float | None)
    })

app = st.App(__file__, routes=[Route("/options", options)])
"""
#: What Streamlit calls an option that was set on the command line.
FLAG = "command-line argument or environment variable"
#: Where a server listens is its starter's business.
LISTENING = {"server.port", "server.address"}

Options = dict[str, list[Any]]


def told(url: str) -> Options:
    """Ask a running script for its options."""
    with urlopen(f"{url}/options", timeout=10) as answer:
        options: Options = json.load(answer)
        return options


@contextmanager
def started(script: Path) -> Iterator[str]:
    """Start a script as `make app` starts the app."""
    port = free_port()
    command = [sys.executable, str(ROOT / "scripts" / "start.py"), str(script)]
    people = subprocess.Popen(
        [*command, "--port", str(port)], env={**os.environ, "CI": "no browser, please"}
    )
    try:
        url = f"http://localhost:{port}"
        assert answers(url, people), "start.py starts nothing"
        yield url
    finally:
        people.terminate()
        people.wait(20)


def test_people_and_tests_run_the_server_with_the_same_options(tmp_path: Path) -> None:
    script = tmp_path / "telling.py"
    script.write_text(TELLING)
    with started(script) as url:
        theirs = told(url)
    with running(script) as app:
        ours = told(app.url)
    assert len(ours) > 100
    apart = {name for name in ours if ours[name] != theirs[name]}
    assert apart == {*LISTENING, "browser.serverPort"}, "browser.serverPort is server.port"
    for options in (ours, theirs):
        flags = {name for name, (_, where) in options.items() if FLAG in where}
        assert flags == LISTENING, "settings belong into .streamlit/config.toml"


def test_the_settings_of_the_file_hold(tmp_path: Path) -> None:
    script = tmp_path / "telling.py"
    script.write_text(TELLING)
    file = ROOT / ".streamlit" / "config.toml"
    with running(script) as app:
        options = told(app.url)
    for section, entries in tomllib.loads(file.read_text()).items():
        for name, value in entries.items():
            if not isinstance(value, dict):
                assert options[f"{section}.{name}"] == [value, str(file)]
    assert options["server.fileWatcherType"][0] == "none"
