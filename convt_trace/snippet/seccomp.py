"""The kernel's own list of what a locked process may ask of it: a seccomp filter.

libseccomp needs a system package beside its Python binding, so the filter is written here: a page of
code and a table per architecture, and nothing to install. What is not in the table answers EPERM; a
call of another architecture's ends the process.
"""

from __future__ import annotations

import ctypes
import platform
import struct

#: What computing needs, by machine: memory, locks within the process, clocks, random bytes, the end.
#: `write` stands apart: it is allowed on one descriptor alone.
CALLS: dict[str, dict[str, int]] = {
    "x86_64": {
        "write": 1, "close": 3, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
        "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35,
        "getpid": 39, "exit": 60, "getrusage": 98, "sysinfo": 99, "times": 100, "gettid": 186,
        "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228,
        "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231, "getcpu": 309,
        "getrandom": 318, "rseq": 334,
    },
    "aarch64": {
        "write": 64, "close": 57, "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214,
        "rt_sigreturn": 139, "sched_yield": 124, "mremap": 216, "madvise": 233, "nanosleep": 101,
        "getpid": 172, "exit": 93, "getrusage": 165, "sysinfo": 179, "times": 153, "gettid": 178,
        "futex": 98, "sched_getaffinity": 123, "restart_syscall": 128, "clock_gettime": 113,
        "clock_getres": 114, "clock_nanosleep": 115, "exit_group": 94, "getcpu": 168,
        "getrandom": 278, "rseq": 293,
    },
}  # fmt: skip

#: What the kernel calls the machines (linux/audit.h).
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# linux/filter.h: load a word, jump if equal, return.
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
# linux/seccomp.h: what a filter returns; EPERM is error number 1.
_ALLOW, _EPERM, _KILL = 0x7FFF0000, 0x00050001, 0x80000000
# Offsets in struct seccomp_data: the call's number, the architecture, the first argument's low half.
_NUMBER, _MACHINE, _FIRST = 0, 4, 16
# linux/prctl.h
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def machine() -> str:
    """Return this machine's architecture, as `CALLS` names it; empty where there is no table."""
    return platform.machine() if platform.machine() in CALLS else ""


def program(machine: str, pipe: int) -> bytes:
    """Return the filter's code.

    Parameters
    ----------
    machine : str
        A key of `CALLS`.
    pipe : int
        The one descriptor that may be written to.

    Examples
    --------
    >>> len(program("x86_64", 5)) == 8 * (3 + 2 * len(CALLS["x86_64"]) + 4)
    True
    """
    calls = dict(CALLS[machine])
    write = calls.pop("write")
    code = [
        (_LOAD, 0, 0, _MACHINE),
        (_JUMP_EQUAL, 1, 0, _ARCHITECTURE[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for number in calls.values():
        code += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    code += [
        (_JUMP_EQUAL, 0, 3, write),
        (_LOAD, 0, 0, _FIRST),
        (_JUMP_EQUAL, 0, 1, pipe),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in code)


def install(code: bytes) -> None:
    """Put a filter on this process; nothing takes it off again.

    Raises
    ------
    OSError
        Where the kernel does not take it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    held = ctypes.create_string_buffer(code)
    filter = _Program(len(code) // 8, ctypes.cast(held, ctypes.c_void_p))
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(filter), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel did not take the filter")
