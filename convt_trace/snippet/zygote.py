"""A process with torch loaded that forks a locked child for each text.

The child is warm from the start, knows nothing of other texts, sends what it finds as it goes, and is
ended by the kernel when it takes too long or too much. A pool of workers would hand one text's state
on to the next, and import torch again after each end.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from convt_trace.engine.memory import give_back_freed_memory
from convt_trace.snippet import box
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.weights import Weights
from convt_trace.snippet.wire import Sender, Take, asked_in, question

_START_SECONDS = 120.0
_STACK_BYTES = 256 * 2**20
#: How long a child may still be sending after the kernel's own limit.
_PATIENCE = 2.0
#: How long a file of weights may be on its way to a child of a busy computer.
_SENDING = 10.0


class NoBox(OSError):
    """No locked box can be made here; the message says why."""


# -- seen from outside ------------------------------------------------------------------------------


class Zygote:
    """The process that forks a locked child for each text.

    Raises
    ------
    NoBox
        Where the children could not be locked.
    """

    def __init__(self) -> None:
        if reason := box.possible():
            raise NoBox(reason)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        root = str(Path(__file__).resolve().parents[2])
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        kept = {
            name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ
        }
        paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "convt_trace.snippet.zygote", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**kept, **single, "PYTHONPATH": paths},
                cwd="/",
            )
        self._lock = threading.Lock()
        self.control.settimeout(_START_SECONDS)
        answer = self.control.recv(1)
        if answer != b"+":
            self.close()
            raise NoBox(
                "the kernel does not keep a process locked in"
                if answer == b"-"
                else "it did not start"
            )

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    @contextlib.contextmanager
    def ask(
        self, request: dict[str, Any], limits: Limits, weights: Weights | None = None
    ) -> Iterator[Take]:
        """Have a child read a text; yield what takes the bytes of its answer."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, self._lock:
            socket.send_fds(self.control, [b"r"], [theirs.fileno()])
        with ours:
            ours.settimeout(_PATIENCE if weights is None else _SENDING)
            asked = {"request": request, "limits": asdict(limits)}
            for part in question(asked, weights):
                ours.sendall(part)
            yield _taker(ours, time.monotonic() + limits.wall_seconds + _PATIENCE)

    def close(self) -> None:
        """End the process."""
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        if self.alive:
            self.process.kill()


def _taker(connection: socket.socket, deadline: float) -> Take:
    def take(length: int) -> bytearray | None:
        taken = bytearray(length)
        view, got = memoryview(taken), 0
        while got < length:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            count = connection.recv_into(view[got:])
            if count == 0:
                if got == 0:
                    return None
                raise EOFError
            got += count
        return taken

    return take


# -- from inside ------------------------------------------------------------------------------------


def _serve(control: socket.socket) -> None:
    """Fork a child for each socket that comes in, until the other side is gone."""
    from convt_trace.snippet.running import warm

    give_back_freed_memory()
    if not box.holds():
        control.sendall(b"-")
        return
    warm()
    box.leave_the_network()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    control.sendall(b"+")
    # A deeply nested text needs a deep stack; a fork takes that of the thread it comes from.
    threading.stack_size(_STACK_BYTES)
    serving = threading.Thread(target=_fork_for_each, args=(control,))
    serving.start()
    serving.join()


def _fork_for_each(control: socket.socket) -> None:
    while True:
        mark, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not mark:
            return
        if os.fork() == 0:
            control.close()
            _child(descriptors[0])
        os.close(descriptors[0])


def _child(descriptor: int) -> None:
    """Read the request, lock this process in, and only then look at the text. Never returns."""
    from convt_trace.snippet.running import Request, read

    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            asked, weights = asked_in(_taker(connection, time.monotonic() + _SENDING))
        limits = Limits(**asked["limits"])
        os.set_blocking(descriptor, True)
        clock = box.lock(descriptor, limits)
        read(Request(**asked["request"]), limits, Sender(descriptor), clock, weights)
    except BaseException:  # the parent has what was sent
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Run on the socket whose number is the first argument."""
    with (
        socket.socket(fileno=int(sys.argv[1])) as control,
        contextlib.suppress(OSError, KeyboardInterrupt),
    ):
        _serve(control)


if __name__ == "__main__":
    main()
