"""A process for one text, with no lock around it.

For what a person at this computer has agreed to run; and, where no text is run, to find what one writes
down: Python's own parser can be made to end the process that it runs in.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from convt_trace.snippet import box
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.weights import Weights
from convt_trace.snippet.wire import Sender, Take, asked_in, question
from convt_trace.snippet.written import written_in

#: To start Python and import torch.
_START_SECONDS = 60.0


@contextlib.contextmanager
def ask(
    request: dict[str, Any], limits: Limits, run: bool, weights: Weights | None = None
) -> Iterator[Take]:
    """Have a new process read a text; yield what takes the bytes of its answer.

    Parameters
    ----------
    request : dict
        The fields of `running.Request`.
    limits : Limits
    run : bool
        Whether the text is run, as ``python`` would; else it is only parsed.
    weights : Weights, optional
    """
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    process = subprocess.Popen(
        [sys.executable, "-m", "convt_trace.snippet.alone"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    last = threading.Timer(_START_SECONDS + limits.wall_seconds, process.kill)
    last.start()
    try:
        assert process.stdin is not None and process.stdout is not None
        asked = {"request": request, "limits": asdict(limits), "run": run}
        for part in question(asked, weights):
            process.stdin.write(part)
        process.stdin.close()
        answer = process.stdout

        def take(length: int) -> bytearray | None:
            taken = answer.read(length)
            if 0 < len(taken) < length:
                raise EOFError
            return bytearray(taken) if len(taken) == length else None

        yield take
    finally:
        last.cancel()
        process.kill()
        process.wait()


def main() -> None:
    """Read the request on standard input, and answer on standard output."""
    asked, weights = asked_in(lambda length: bytearray(sys.stdin.buffer.read(length)))
    limits = Limits(**asked["limits"])
    # What the text itself prints in C, or a process that it starts, goes nowhere.
    answer, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    send = Sender(answer)
    if asked["run"]:
        from convt_trace.snippet.running import Request, read, warm

        warm()
        read(Request(**asked["request"]), limits, send, box.bound(limits), weights)
        os._exit(0)
    box.bound(limits)
    if (found := written_in(asked["request"]["source"], limits, send)) is not None:
        send("left", list(range(len(found[2]))))


if __name__ == "__main__":
    main()
