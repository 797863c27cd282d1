"""Each wall of the box alone, with all else off: see docs/security.md."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from convt_trace.snippet import SnippetError, read_snippet, seccomp, service, zygote

SMALL = (
    "import torch\nprint(torch.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2)).tolist())"
)


def apart(program: str, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own: a lock never comes off again."""
    begin = "import os, sys, json, ctypes\nfrom convt_trace.snippet import box, seccomp\n"
    begin += "from convt_trace.snippet.limits import Limits\n"
    return subprocess.run(
        [sys.executable, "-c", begin + textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        **more,  # type: ignore[call-overload]
    )


# -- the filter --------------------------------------------------------------------------------------

ALLOW, DENY, KILL = 0x7FFF0000, 0x00050001, 0x80000000


def decision(code: bytes, number: int, architecture: int, first: int) -> int:
    """What the kernel makes of a filter: the few instructions that ours has, one by one."""
    steps = [struct.unpack("HBBI", code[at : at + 8]) for at in range(0, len(code), 8)]
    data = struct.pack("<IIQQ", number, architecture, 0, first)
    at, held = 0, 0
    while True:
        kind, if_true, if_false, value = steps[at]
        at += 1
        if kind == 0x20:
            (held,) = struct.unpack_from("<I", data, value)
        elif kind == 0x15:
            at += if_true if held == value else if_false
        else:
            assert kind == 0x06
            return value


ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7, "i386": 0x40000003}


@pytest.mark.parametrize("machine", seccomp.CALLS)
def test_the_filter_allows_its_table_and_nothing_else(machine: str) -> None:
    code, table = seccomp.program(machine, pipe=7), seccomp.CALLS[machine]
    allowed = set(table.values()) - {table["write"]}
    for number in (*range(1024), *(0x40000000 + n for n in range(512)), 2**32 - 1):
        expected = ALLOW if number in allowed else DENY
        assert decision(code, number, ARCHITECTURES[machine], 0) == expected
        for other in set(ARCHITECTURES) - {machine}:
            assert decision(code, number, ARCHITECTURES[other], 7) == KILL
    for descriptor in (0, 1, 2, 6, 8, 7 + 2**31):
        assert decision(code, table["write"], ARCHITECTURES[machine], descriptor) == DENY
    assert decision(code, table["write"], ARCHITECTURES[machine], 7) == ALLOW


def test_the_two_tables_name_the_same_calls() -> None:
    assert set(seccomp.CALLS["x86_64"]) == set(seccomp.CALLS["aarch64"])
    for table in seccomp.CALLS.values():
        assert len(set(table.values())) == len(table)


def test_no_call_that_reaches_outside_is_in_the_table() -> None:
    outside = {
        "open", "openat", "socket", "connect", "execve", "fork", "clone", "clone3", "vfork", "kill",
        "tkill", "tgkill", "ptrace", "process_vm_readv", "io_uring_setup", "keyctl", "bpf", "prctl",
        "seccomp", "rt_sigaction", "setitimer", "prlimit64", "sendto", "writev", "pwrite64", "dup2",
        "sendfile", "splice", "memfd_create", "userfaultfd", "shmget", "ioctl", "unlink", "rename",
    }  # fmt: skip
    assert not outside & set(seccomp.CALLS["x86_64"])


@pytest.mark.skipif(not seccomp.machine(), reason="no table for this processor")
def test_the_kernel_keeps_to_the_filter_alone() -> None:
    """Every call that is not in the table, made of this very process's kernel: EPERM."""
    done = apart("""
        pipe = os.dup(1)
        table = set(seccomp.CALLS[seccomp.machine()].values())
        # uretprobe and uprobe: the kernel asks no filter, and ends a process that calls them itself.
        if seccomp.machine() == "x86_64":
            table |= {335, 336}
        libc = ctypes.CDLL(None, use_errno=True)
        seccomp.install(seccomp.program(seccomp.machine(), pipe))
        other = []
        for number in [*range(480), *range(0x40000000, 0x40000000 + 480)]:
            if number not in table:
                ctypes.set_errno(0)
                answer = libc.syscall(ctypes.c_long(number), 0, 0, 0, 0, 0, 0)
                if (answer, ctypes.get_errno()) != (-1, 1):
                    other.append((number, answer, ctypes.get_errno()))
        written = [libc.write(fd, b"", 0) for fd in (0, 1, 2, pipe)]
        os.write(pipe, json.dumps([other, written]).encode())
        os._exit(0)
    """)
    assert json.loads(done.stdout) == [[], [-1, -1, -1, 0]], done.stderr


@pytest.mark.skipif(
    seccomp.machine() != "x86_64", reason="the call is written in x86's machine code"
)
def test_a_call_of_another_architecture_ends_the_process() -> None:
    done = apart("""
        import mmap
        code = mmap.mmap(-1, 4096, prot=7)
        code.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20; int 0x80; ret: i386's getpid
        call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        if sys.argv[1] == "locked":
            seccomp.install(seccomp.program("x86_64", 1))
        os.write(1, str(call()).encode())
        os._exit(0)
    """, "locked")  # fmt: skip
    assert done.returncode == -signal.SIGSYS and done.stdout == ""


# -- the kernel's limits -----------------------------------------------------------------------------


def bounded(then: str, *arguments: str, **limits: float) -> subprocess.CompletedProcess[str]:
    given = ", ".join(f"{name}={value}" for name, value in limits.items())
    return apart(f"box.bound(Limits({given}))\n" + textwrap.dedent(then), *arguments)


def test_memory_is_bounded() -> None:
    then = "try: held = bytearray(2**28)\nexcept MemoryError: print('no room')\nelse: print('room')"
    assert bounded(then, bytes=2**27).stdout == "no room\n"
    assert bounded(then, bytes=2**30).stdout == "room\n"


def test_no_file_is_written(tmp_path: Path) -> None:
    file = tmp_path / "a"
    done = bounded("os.write(os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY), b'x')", str(file))
    assert "File too large" in done.stderr and file.read_bytes() == b""


def test_what_computes_too_long_is_ended_in_python_and_in_c() -> None:
    assert bounded("while True: pass", seconds=0.3).returncode == 0
    assert bounded("sum(range(10**12))", seconds=0.3).returncode == -signal.SIGKILL


def test_what_waits_too_long_is_ended() -> None:
    done = bounded("import time\ntime.sleep(1000)", wall_seconds=0.5)
    assert done.returncode == -signal.SIGALRM


def test_no_process_is_made() -> None:
    done = apart("""
        if os.getuid() == 0:  # root may make as many as it likes
            os.setuid(65534)
        box.bound(Limits())
        try: os.fork()
        except BlockingIOError: print("no process")
    """)  # fmt: skip
    assert done.stdout == "no process\n", done.stderr


# -- what the process holds ---------------------------------------------------------------------------


def test_nothing_is_open_but_the_pipe_and_nothing_is_known() -> None:
    done = apart("""
        pipe = os.dup(1)
        more = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
        box.forget(pipe)
        held = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd != pipe]
        held = [fd for fd in held if os.path.exists(f"/proc/self/fd/{fd}")]  # not the listing's own
        os.write(pipe, json.dumps([held, dict(os.environ), sys.argv, sys.path]).encode())
    """)
    assert json.loads(done.stdout) == [[], {}, [""], []], done.stderr


def test_landlock_alone_opens_no_file() -> None:
    done = apart("""
        kernel_has_it = ctypes.CDLL(None).syscall(444, None, 0, 1) >= 1
        box._no_files()
        try: os.open("/", os.O_RDONLY)
        except PermissionError: print(kernel_has_it)
        else: print(not kernel_has_it)
    """)  # fmt: skip
    assert done.stdout == "True\n", done.stderr


def test_the_zygote_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVT_SECRET", "the-secret-words")
    one = zygote.Zygote()
    try:
        folder = Path(f"/proc/{one.process.pid}")
        assert b"the-secret-words" not in (folder / "environ").read_bytes()
        held = sorted(os.readlink(entry) for entry in (folder / "fd").iterdir())
        assert [one for one in held if one != "/dev/null"] == [held[-1]]
        assert held[-1].startswith("socket:")
    finally:
        one.close()


# -- a box that does not hold --------------------------------------------------------------------------


def test_a_box_that_holds_is_told_from_one_that_does_not() -> None:
    assert apart("print(box.holds())").stdout == "True\n"
    done = apart("""
        seccomp.install = lambda code: None
        box._no_files = lambda: None
        print(box.holds())
    """)
    assert done.stdout == "False\n"


def test_a_kernel_that_takes_no_filter_is_no_box() -> None:
    done = apart("""
        def refuse(code): raise OSError(22, "no")
        seccomp.install = refuse
        print(box.holds())
    """)
    assert done.stdout == "False\n"


def test_where_no_process_can_be_locked_a_text_is_read_and_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(service, "_zygotes", [])
    monkeypatch.setattr(sys, "platform", "darwin")
    text = f"from torch import nn\nup = nn.ConvTranspose1d(1, 2, 3)\nopen('{tmp_path}/a', 'w')\n"
    with pytest.raises(SnippetError) as raised:
        read_snippet(text)
    error = raised.value
    assert (error.type, error.lineno) == ("NoBox", None)
    assert error.message == "texts are not run on this computer: darwin has no seccomp"
    assert [str(one) for one in error.reading.definitions] == [
        "line 2 defines nn.ConvTranspose1d(1, 2, 3)"
    ]
    assert list(tmp_path.iterdir()) == []
    assert service.why_no_box() == "darwin has no seccomp"


def test_a_text_that_is_not_run_may_end_the_process_that_parses_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "_zygotes", [])
    monkeypatch.setattr(sys, "platform", "darwin")
    for text in ("-" * 54_000 + "1", "x = (", "[1," * 60_000):
        with pytest.raises(SnippetError) as raised:
            read_snippet(text)
        assert raised.value.type in ("Refused", "SyntaxError", "NoBox")


def test_a_zygote_that_ended_is_started_again() -> None:
    service.why_no_box()
    before = service._zygotes[-1]
    before.process.kill()
    before.process.wait()
    assert read_snippet(SMALL).printed == "[[[1.0, 2.0, 1.0]]]\n"
    assert service._zygotes[-1] is not before
