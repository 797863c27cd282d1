"""The locked box: a process that can compute, write to one pipe, and do nothing else.

Three walls, each of which holds alone (`docs/security.md`): the kernel's filter of system calls, the
limits on memory and time, and a parent that believes nothing of what is written to the pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from convt_trace.snippet import seccomp
from convt_trace.snippet.limits import Limits

if sys.platform != "win32":
    import resource

_PAGE_BYTES = 4096
# Landlock (linux/landlock.h): the same numbers on every architecture.
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
# linux/sched.h
_NEW_NETWORK = 0x40000000
#: Every right to files that the first version of Landlock knows.
_ALL_OF_FILES = (1 << 13) - 1


def possible() -> str:
    """Return why no box can be made on this system; empty where one can.

    Whether the kernel's filter holds is another question: `holds` tries it.
    """
    if sys.platform != "linux":
        return f"{sys.platform} has no seccomp"
    if not seccomp.machine():
        return "there is no table of system calls for this processor"
    return ""


def data_bytes() -> int:
    """Return the private memory this process has asked for, written to or not; 0 where unknown."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[5]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


class Clock:
    """Rings when this process has computed for too long. A locked process can set no other.

    Attributes
    ----------
    over : callable
        What to do then; at first the process ends.
    """

    def __init__(self) -> None:
        self.over: Callable[[], object] = lambda: os._exit(0)

    def start(self, seconds: float) -> None:
        """Count the seconds of this process alone: what others do meanwhile does not count."""
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGPROF, lambda *_: self.over())
            signal.setitimer(signal.ITIMER_PROF, seconds)


def bound(limits: Limits) -> Clock:
    """Let the kernel end this process when it takes too long, and deny memory, files and processes."""
    clock = Clock()
    if sys.platform == "win32":
        return clock
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)
    caps = {
        resource.RLIMIT_CPU: int(limits.seconds) + 2,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    if data_bytes():
        caps[resource.RLIMIT_DATA] = data_bytes() + limits.bytes
    for kind, value in caps.items():
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))
    clock.start(limits.seconds)
    return clock


def forget(pipe: int) -> None:
    """Close every descriptor but the pipe, and clear the environment and the search for modules."""
    os.environ.clear()
    sys.argv[:] = [""]
    sys.path[:] = []
    sys.path_importer_cache.clear()
    os.closerange(0, pipe)
    os.closerange(pipe + 1, 4096)


def _no_files() -> None:
    """Take every right to files away with Landlock, where the kernel has it."""
    libc = ctypes.CDLL(None, use_errno=True)
    rights = ctypes.c_uint64(_ALL_OF_FILES)
    made = libc.syscall(
        ctypes.c_long(_LANDLOCK_CREATE), ctypes.byref(rights), ctypes.c_size_t(8), ctypes.c_uint(0)
    )
    if made >= 0:
        libc.prctl(38, 1, 0, 0, 0)
        libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT), ctypes.c_int(made), ctypes.c_uint(0))
        os.close(made)


def leave_the_network() -> None:
    """Move into a network of nobody's, where the system lets this process: its children have none other."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK)


def lock(pipe: int, limits: Limits) -> Clock:
    """Lock this process in, before the first byte of a text is looked at; return its clock.

    Parameters
    ----------
    pipe : int
        The one descriptor that stays, to be written to.
    limits : Limits

    Raises
    ------
    OSError
        Where the kernel does not take the filter: nothing may run then.
    """
    clock = bound(limits)
    forget(pipe)
    _no_files()
    seccomp.install(seccomp.program(seccomp.machine(), pipe))
    return clock


def holds() -> bool:
    """Try the walls in a child of this process: one that can open a file is no box.

    Call it where the process has one thread.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            gc.disable()
            lock(write, Limits())
            os.write(write, b"locked" if _shut_in() else b"open")
        finally:
            os._exit(0)
    os.close(write)
    try:
        return os.read(read, 16) == b"locked"
    finally:
        os.close(read)
        os.waitpid(child, 0)


def _shut_in() -> bool:
    """Whether this process can neither open a file nor make a process or a socket."""
    for attempt in (lambda: os.open("/", os.O_RDONLY), os.fork, socket.socket):
        try:
            attempt()
        except OSError:
            continue
        return False
    return True
