"""Readings in a process of their own, under the operating system's limits.

One *nursery* process imports torch once and stays single-threaded. For each text it forks a child:
the child is warm from the start, shares nothing with other readings, sends what it finds as it
goes, and is ended by the kernel when it takes too long or too much memory. What it sent before that
is kept.

A process pool (pebble, concurrent.futures) would hand a worker's state on to the next text, return
results only at the end, and import torch again (1.5 s) after each kill.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convt_trace.engine.memory import give_back_freed_memory
from convt_trace.snippet.errors import SnippetError
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.reading import Run
from convt_trace.snippet.recording import Builder

#: Readings at the same time; torch uses every core for one.
_AT_ONCE = 2
#: How long after its own limit a child may still be sending.
_PATIENCE = 1.0
_START_SECONDS = 60.0
_HEADER = struct.Struct("!IQ")

_turns = threading.BoundedSemaphore(_AT_ONCE)
_starting = threading.Lock()
_nursery: Nursery | None = None
_fork_here = False


def available() -> bool:
    """Whether this system can fork and pass sockets on."""
    return hasattr(os, "fork") and hasattr(socket, "send_fds")


def warm_up() -> None:
    """Start the nursery, so that the first reading need not wait for torch."""
    if available():
        _the_nursery()


def fork_here() -> None:
    """Fork children from this process, without a nursery.

    For a process that has run nothing with torch yet, such as the command line: torch's threads do
    not survive a fork. What torch loads at its first use is loaded here, beyond a text's time limit.
    """
    global _fork_here
    _fork_here = available()
    if _fork_here:
        _warm(Limits())


def read_apart(source: str, limits: Limits, run: Run | None, builder: Builder) -> None:
    """Read a text in a child process and add what it sends to ``builder``."""
    if len(source) > limits.source_chars or not available():
        from convt_trace.snippet.session import read

        read(source, limits, run, builder.add)
        return
    if _fork_here:
        with _forked((source, limits, run)) as connection:
            _receive(connection, limits, builder)
        return
    with _turns:
        for attempt in (1, 2):
            try:
                connection = _the_nursery().ask((source, limits, run))
                break
            except OSError:
                if attempt == 2:
                    raise SnippetError("Refused", "the reader is not available") from None
        with connection:
            _receive(connection, limits, builder)


@contextlib.contextmanager
def _forked(request: tuple[str, Limits, Run | None]) -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        ours.close()
        give_back_freed_memory()
        _child(theirs)
        os._exit(0)
    theirs.close()
    try:
        with ours:
            send(ours, request)
            yield ours
    finally:
        os.waitpid(child, 0)


def _receive(connection: socket.socket, limits: Limits, builder: Builder) -> None:
    deadline = time.monotonic() + limits.hard_seconds + _PATIENCE
    started = time.monotonic()
    try:
        for event in events(connection, deadline):
            builder.add(event)
    except (OSError, EOFError, pickle.UnpicklingError):
        pass
    if not builder.finished and builder.error is None:
        spent = time.monotonic() - started
        if spent > 0.8 * limits.hard_seconds:
            what = f"more than {limits.seconds} seconds of computing"
        else:
            what = "more memory than the reader has, or a crash inside torch"
        stack = builder.at.stack if builder.at else ()
        line = stack[-1] if stack else None
        builder.add(("error", ("Refused", what, line, stack, "Use smaller tensors.")))


# -- messages -------------------------------------------------------------------------------------


def send(connection: socket.socket, message: Any) -> None:
    """Send one message; arrays go beside the pickle, without a copy."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(message, protocol=5, buffer_callback=buffers.append)
    views = [one.raw() for one in buffers]
    connection.sendall(_HEADER.pack(len(views), len(body)) + body)
    for view in views:
        connection.sendall(_HEADER.pack(0, view.nbytes))
        connection.sendall(view)


class _Plain(pickle.Unpickler):
    """Builds nothing but what the reader's own messages hold."""

    _ALLOWED = {
        "numpy._core.numeric": {"_frombuffer"},
        "numpy._core.multiarray": {"_reconstruct", "scalar"},
        "numpy": {"dtype", "ndarray"},
        "ml_dtypes": {"bfloat16"},
        "convt_trace.snippet.reading": {
            "Argument",
            "Attempt",
            "Definition",
            "Note",
            "Run",
            "Shown",
        },
        "convt_trace.snippet.limits": {"Limits"},
    }

    def find_class(self, module: str, name: str) -> Any:
        if name in self._ALLOWED.get(module, ()):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def events(connection: socket.socket, deadline: float) -> Iterator[Any]:
    """Yield messages until the other side closes, or the deadline."""
    while True:
        head = _take(connection, _HEADER.size, deadline)
        if head is None:
            return
        count, length = _HEADER.unpack(head)
        body = _take(connection, length, deadline)
        buffers = []
        for _ in range(count):
            size = _take(connection, _HEADER.size, deadline)
            buffers.append(_take(connection, _HEADER.unpack(size or b"")[1], deadline))
        yield _Plain(io.BytesIO(body or b""), buffers=buffers).load()


def _take(connection: socket.socket, length: int, deadline: float) -> bytearray | None:
    """Return so many bytes; None when nothing more comes."""
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


# -- the nursery, seen from outside ---------------------------------------------------------------


class Nursery:
    """The process that forks a child for each text.

    Parameters
    ----------
    process : subprocess.Popen
    control : socket
        Carries one end of a new socket pair per reading.
    """

    def __init__(self) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "convt_trace.snippet.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path},
                cwd="/",
            )
        self._lock = threading.Lock()
        self.control.settimeout(_START_SECONDS)
        if self.control.recv(1) != b"+":
            raise OSError("the reader did not start")

    def ask(self, request: tuple[str, Limits, Run | None]) -> socket.socket:
        """Have a child read a text; return the socket on which it answers."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs, self._lock:
            socket.send_fds(self.control, [b"r"], [theirs.fileno()])
        send(ours, request)
        return ours

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def close(self) -> None:
        """End the process."""
        self.control.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        if self.alive:
            self.process.kill()


def _the_nursery() -> Nursery:
    global _nursery
    with _starting:
        if _nursery is None or not _nursery.alive:
            _nursery = Nursery()
            atexit.register(_nursery.close)
        return _nursery


# -- the nursery, from inside ---------------------------------------------------------------------


def _warm(limits: Limits) -> None:
    """Load what a first reading would load; small enough to start no threads."""
    from convt_trace.snippet.session import read

    text = (
        "import torch, numpy as np\nfrom torch import nn\n"
        "x = torch.ones(1, 1, 3, requires_grad=True)\n"
        "y = nn.Sequential(nn.ConvTranspose1d(1, 1, 2), nn.ReLU(), nn.Conv1d(1, 1, 1))(x)\n"
        "y.sum().backward()\nprint(y, f'{y.sum().item():.2f}', np.ones(2))\n"
    )
    read(text, limits, None, lambda event: None)


def _serve(control: socket.socket) -> None:
    """Fork a child for each socket that comes in, until the other side is gone."""
    import gc
    import signal

    give_back_freed_memory()
    _warm(Limits())
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    control.sendall(b"+")
    while True:
        mark, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not mark:
            return
        if os.fork() == 0:
            control.close()
            with socket.socket(fileno=descriptors[0]) as connection:
                _child(connection)
            os._exit(0)
        os.close(descriptors[0])


def _child(connection: socket.socket) -> None:
    try:
        request = next(events(connection, time.monotonic() + 5))
        source, limits, run = request
        confine(limits)
        connection.settimeout(None)
        from convt_trace.snippet.session import read

        read(source, limits, run, lambda event: send(connection, event))
        send(connection, ("done",))
    except BaseException:  # the parent has what was sent
        os._exit(1)


def confine(limits: Limits) -> None:
    """Let the kernel end this process when it takes too long, and deny memory, files and more."""
    import resource
    import signal

    from convt_trace.snippet.limits import data_bytes

    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limits.hard_seconds)
    caps = {
        resource.RLIMIT_CPU: int(limits.hard_seconds * 4) + 1,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
    }
    if data_bytes():
        caps[resource.RLIMIT_DATA] = data_bytes() + limits.hard_bytes
    for kind, value in caps.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))


def main() -> None:
    """Run the nursery on the socket whose number is the first argument."""
    with (
        socket.socket(fileno=int(sys.argv[1])) as control,
        contextlib.suppress(OSError, KeyboardInterrupt),
    ):
        _serve(control)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
