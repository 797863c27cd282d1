# ruff: noqa: E501  the texts stand on one line each
"""Texts that try to get out, or to use up what there is. They run; nothing outside of them changes."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convt_trace.snippet import LIMITS, Reading, SnippetError, read_snippet, service
from convt_trace.snippet.limits import Limits

T = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nimport numpy as np\n"
#: The two lines that tell whether a text can still be read as it should.
GOOD = T + "print(F.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2)).tolist())"


def read(source: str, limits: Limits = LIMITS) -> tuple[Reading, SnippetError | None]:
    try:
        return read_snippet(source, limits=limits), None
    except SnippetError as error:
        return error.reading, error


class World:
    """What is outside of the box, and whether a text has reached it."""

    def __init__(self, folder: Path, port: socket.socket, victim: subprocess.Popen[bytes]):
        self.folder, self._port, self.victim = folder, port, victim
        (folder / "secret").write_text("the-secret-words")
        os.environ["CONVT_SECRET"] = "the-secret-words"
        service.why_no_box()
        self.zygote = service._zygotes[-1]

    @property
    def names(self) -> dict[str, object]:
        """What a text is told, as if it had guessed it."""
        return {
            "out": self.folder / "out",
            "secret": self.folder / "secret",
            "port": self._port.getsockname()[1],
            "victim": self.victim.pid,
            "zygote": self.zygote.process.pid,
            "parent": os.getpid(),
        }

    def assert_untouched(self, reading: Reading, error: SnippetError | None) -> None:
        told = repr((reading.printed, reading.shown, reading.notes, str(error)))
        assert "the-secret-words" not in told
        assert [path.name for path in self.folder.iterdir()] == ["secret"]
        assert (self.folder / "secret").read_text() == "the-secret-words"
        with pytest.raises(BlockingIOError):
            self._port.accept()
        assert self.victim.poll() is None and self.zygote.process.poll() is None
        assert read(GOOD)[0].printed == "[[[1.0, 2.0, 1.0]]]\n"
        assert service._zygotes[-1] is self.zygote


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        port.listen()
        port.setblocking(False)
        yield World(tmp_path, port, victim)
    victim.kill()
    victim.wait()


C = "import ctypes\nlibc = ctypes.CDLL(None)\n"
#: Attempts to reach something outside. What they print is looked at as well.
ESCAPES = {
    # files
    "system": "import os, posix\nposix.system('touch {out}')",
    "subprocess": "import subprocess\nsubprocess.run(['touch', '{out}'])",
    "real_open": "import io, _io\n_io.open('{out}', 'w').write('x')",
    "file_io": "import io\nio.FileIO('{out}', 'w').write(b'x')",
    "os_open": "import os\nos.write(os.open('{out}', os.O_CREAT | os.O_WRONLY), b'x')",
    "read_secret": "import io\nprint(io.FileIO('{secret}').read())",
    "read_through_linecache": "import linecache\nprint(linecache.getlines('{secret}'))",
    "path": "import pathlib\npathlib.Path('{out}').write_text('x')",
    "rename": "import os\nos.rename('{secret}', '{out}')",
    "link": "import os\nos.symlink('{secret}', '{out}')",
    "unlink": "import posix\nposix.unlink('{secret}')",
    "truncate": "import os\nos.truncate('{secret}', 0)",
    "mkdir": "import posix\nposix.mkdir('{out}')",
    "listing": "import os\nprint(os.listdir('/'))",
    "tempfile": "import tempfile\ntempfile.NamedTemporaryFile(dir='{out}'[:-4])",
    "sqlite": "import sqlite3\nsqlite3.connect('{out}').execute('create table a (b)')",
    "logging": "import logging\nlogging.FileHandler('{out}').emit(1)",
    "torch_save": "torch.serialization.save(torch.ones(1), '{out}')",
    "torch_writer": "torch._C.PyTorchFileWriter('{out}').write_end_of_file()",
    "torch_shared": "torch.from_file('{out}', shared=True, size=4)",
    "torch_load": "print(torch.serialization.load('{secret}'))",
    "torch_library": "torch.ops.load_library('{secret}')",
    "np_tofile": "np.ones(1).tofile('{out}')",
    "np_memmap": "np.core.memmap.memmap('{out}', mode='w+', shape=(1,))",
    "libc_open": C + "print(libc.open(b'{secret}', 0))\nlibc.creat(b'{out}', 0o777)",
    "libc_fopen": C + "libc.fopen.restype = ctypes.c_void_p\nprint(libc.fopen(b'{out}', b'w'))",
    "raw_openat": C + "print(libc.syscall(257, -100, b'{secret}', 0))\nlibc.syscall(85, b'{out}', 0o777)",
    "raw_openat2": C + "print(libc.syscall(437, -100, b'{out}', b'\\x41' + bytes(23), 24))",
    "io_uring": C + "print(libc.syscall(425, 8, bytes(120)))",
    "keyctl": C + "print(libc.syscall(250, 0, -1, 0))",
    "memfd": C + "fd = libc.syscall(319, b'a', 0)\nprint(libc.syscall(59, b'/bin/touch', 0, 0))",
    # secrets
    "environment": "import os\nprint(dict(os.environ), os.getenv('CONVT_SECRET'))",
    "libc_environment": C + "libc.getenv.restype = ctypes.c_char_p\nprint(libc.getenv(b'CONVT_SECRET'))",
    "arguments": "import sys\nprint(sys.argv, sys.orig_argv, sys.path)",
    "proc": "print(__import__('io').FileIO('/proc/self/environ').read())",
    "descriptors": "import os\nfor fd in range(300):\n    try: print(os.read(fd, 100))\n    except OSError: pass",
    # the network
    "socket": "import socket\nsocket.create_connection(('127.0.0.1', {port}))",
    "urllib": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:{port}')",
    "raw_socket": C + "print(libc.socket(2, 1, 0), libc.syscall(41, 2, 1, 0))",
    "distributed": "torch.distributed.TCPStore('127.0.0.1', {port}, is_master=False, timeout=__import__('datetime').timedelta(seconds=1))",
    # processes
    "fork": "import os\nif os.fork() == 0:\n    while True: pass",
    "fork_bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError as error: print(error); break",
    "fork_exec": "import _posixsubprocess\n_posixsubprocess.fork_exec([b'touch', b'{out}'], [b'/bin/touch'], True, (), None, None, -1, -1, -1, -1, -1, -1, 1, 2, False, False, 0, None, None, None, 0, None)",
    "clone": C + "print(libc.syscall(56, 17, 0, 0, 0, 0), libc.syscall(435, bytes(88), 88))",
    "vfork": C + "print(libc.syscall(58))",
    "exec": "import os\nos.execv('/bin/touch', ['touch', '{out}'])",
    "multiprocessing": "import torch.multiprocessing as mp\nmp.Process(target=print).start()",
    "thread": "import threading\nt = threading.Thread(target=print)\nt.start()",
    "torch_threads": "torch.set_num_threads(8)\nprint(torch.ones(3000, 3000) @ torch.ones(3000, 3000))",
    "kill_parent": "import os\nos.kill(os.getppid(), 9)",
    "kill_named": "import os\nfor pid in ({parent}, {zygote}, {victim}):\n    try: os.kill(pid, 9)\n    except OSError as error: print(error)",
    "kill_group": "import os\nos.killpg(0, 9)",
    "kill_all": "import os\nos.kill(-1, 9)",
    "raw_kill": C + "print(libc.kill({victim}, 9), libc.syscall(62, {zygote}, 9), libc.syscall(234, {victim}, {victim}, 9), libc.syscall(424, 3, 9, 0, 0))",
    "ptrace": C + "print(libc.ptrace(16, {victim}, 0, 0), libc.syscall(101, 16, {zygote}, 0, 0))",
    "read_memory": C + "print(libc.process_vm_readv({zygote}, 0, 0, 0, 0, 0), libc.process_vm_writev({zygote}, 0, 0, 0, 0, 0))",
    "priority": C + "print(libc.setpriority(0, {victim}, 19), libc.prlimit({victim}, 7, bytes(16), 0))",
    "unshare": C + "print(libc.unshare(0x10000000), libc.mount(b'a', b'/', b'tmpfs', 0, 0), libc.chroot(b'/'))",
    "raise_limits": "import resource\nresource.setrlimit(resource.RLIMIT_DATA, (-1, -1))",
    "bpf": C + "print(libc.syscall(321, 0, bytes(100), 100), libc.prctl(22, 0))",
    # signals and the clock
    "ignore_the_clock": "import signal\nsignal.signal(signal.SIGPROF, signal.SIG_IGN)\nwhile True: pass",
    "stop_the_clock": "import signal\nsignal.setitimer(signal.ITIMER_PROF, 0)\nwhile True: pass",
    "own_alarm": C + "print(libc.alarm(100), libc.signal(14, 1))",
    # native crashes
    "null": "import ctypes\nctypes.string_at(0)",
    "strided": "np.lib.stride_tricks.as_strided(np.zeros(1), (10**9,)).sum()",
    "division": "torch.ao.nn.quantized.ConvTranspose2d(1, 1, 1, stride=0)(torch.quantize_per_tensor(torch.ones(1, 1, 2, 2), 1, 0, torch.quint8))",
    "abort": C + "libc.abort()",
    "stack": "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
    "code": "(lambda: 0).__code__.replace(co_code=b'd\\xff' * 9)\nexec((lambda: 0).__code__.replace(co_code=b'd\\xff' * 9))",
    # the end that does not come
    "atexit": "import atexit\n@atexit.register\ndef f():\n    while True: pass",
    "del": "class A:\n    def __del__(self):\n        while True: pass\na = A()",
    "exit_at_once": "import os\nos._exit(0)",
    "catch_all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "exit_replaced": "import os\nos._exit = lambda code: None\nwhile True: pass",
    # huge allocations in C
    "malloc": C + "libc.malloc.restype = ctypes.c_void_p\nfor i in range(100): p = libc.malloc(ctypes.c_size_t(2**28)); print(p); libc.memset(ctypes.c_void_p(p), 1, ctypes.c_size_t(2**28))",
    "mmap": C + "libc.mmap.restype = ctypes.c_ssize_t\nprint([libc.mmap(0, 2**30, 3, 34, -1, 0) for i in range(9)])",
    "shared_memory": "import mmap\nprint(mmap.mmap(-1, 2**33))",
}  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES)
def test_a_text_reaches_nothing_outside(name: str, world: World) -> None:
    quick = replace(LIMITS, seconds=0.5)
    world.assert_untouched(*read(T + ESCAPES[name].format(**world.names), quick))


def test_no_text_finds_another_one() -> None:
    word = "a-word-of-the-first-text"
    first, _ = read(
        f"{T}word = '{word}'\nprint(word, F.conv1d(torch.ones(1, 1, 2), torch.ones(1, 1, 1)))"
    )
    assert word in first.printed
    look = "import gc, sys\nstart, end = 'a-word-of-the', '-first-text'\n"
    look += "def told(one):\n    try: return repr(one)[:10**6]\n    except Exception: return ''\n"
    look += (
        "held = [told(one) for one in gc.get_objects() if isinstance(one, (dict, list, tuple))]\n"
    )
    look += "print(any(start + end in one for one in held), any(start in one for one in held))\n"
    reading, error = read(look, replace(LIMITS, seconds=20.0))
    assert reading.printed == "False True\n", error  # its own words are found


#: Attempts to send another reading than the text's own. The pipe is the last descriptor that is open.
FORGED = """
import gc, json, os, struct
from convt_trace.snippet.wire import Sender, described
send = next(one for one in gc.get_objects() if isinstance(one, Sender))
def array(numbers):
    numbers = np.array(numbers, np.float32)
    send("array", described(numbers), numbers)
def call(**more):
    given = dict(op="conv_transpose1d", stack=[9], origin="", groups=1, ran=[], x=0, weight=1, bias=None,
                 output=2, stride=[1], padding=[0], output_padding=[0], dilation=[1])
    send("call", {**given, **more})
array([[[1, 1]]]); array([[[1, 1]]]); array([[[1, 2, 9]]]); array([[[1, 2, 1]]])
"""
LIES = {
    "another_output": ("call()", "with other numbers than torch's"),
    "no_output": ("call(output=7)", "can't be read"),
    "huge_stride": ("call(output=3, stride=[2**40])", "can't be read"),
    "stride_of_two": ("call(output=3, stride=[1, 1])", "can't be read"),
    "groups_that_do_not_fit": ("call(output=3, groups=7)", "with other numbers than torch's"),
    "negative_padding": ("call(output=3, padding=[-1])", "can't be read"),
    "op": ("call(output=3, op='os.system')", "can't be read"),
    "text": ("send('print', ['a'])", "can't be read"),
    "long_text": ("send('print', 'a' * 10**6)", "can't be read"),
    "endless_text": ("while True: send('print', 'a' * 100)", "can't be read"),
    "endless_notes": ("for i in range(10**5): send('note', [0, f'note {i}'])", "can't be read"),
    "endless_arrays": ("while True: array([[[1]]])", "can't be read"),
    "endless_numbers": ("while True: array(np.ones((1000, 1000)))", "can't be read"),
    "endless_calls": ("while True: call(output=3)", "can't be read"),
    "kind": ("send('run', 1)", "can't be read"),
    "no_json": ("os.write(send._descriptor, b'\\0\\0\\0\\4abcd')", "can't be read"),
    "long_header": ("os.write(send._descriptor, b'\\xff' * 8)", "can't be read"),
    "half_a_message": ("n = os.write(send._descriptor, b'\\0\\0\\0\\4ab')\nos._exit(0)", "crash"),
    "deep_json": ("h = b'[' * 10**6\nos.write(send._descriptor, struct.pack('!I', len(h)))\nsend._write(h)", "can't be read"),
    "nan_json": ("h = b'[\"note\", [NaN, \"a\"]]'\nsend._write(struct.pack('!I', len(h)) + h)", "can't be read"),
    "dtype": ("send('array', {'dtype': 'object', 'shape': [1]})", "can't be read"),
    "shape": ("send('array', {'dtype': 'int8', 'shape': [2**30, 2**30, 2**30]})", "can't be read"),
    "definitions": ("send('written', [{'op': 'conv_transpose1d', 'line': 'a'}])", "can't be read"),
    "error": ("send('error', {'type': 1})", "can't be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_forged_message_fools_nobody(name: str) -> None:
    """What a text itself sends is looked at as if it came from anywhere, and its numbers recomputed."""
    told, expected = LIES[name]
    reading, error = read(T + FORGED + told)
    said = [error.message if error else "", *(note.text for note in reading.notes)]
    assert any(expected in one for one in said), said
    for call in reading.calls:
        theirs = torch.conv_transpose1d(torch.from_numpy(call.x), torch.from_numpy(call.weight))
        assert theirs.tolist() == call.output.tolist()
    assert read(GOOD)[0].printed == "[[[1.0, 2.0, 1.0]]]\n"


#: Attempts to use up time or memory, and how each ends.
TIME, MEMORY, PRINTED = "seconds of computing", "the reader has", "characters of printed text"
BOMBS = {
    "while_true": ("while True: pass", TIME),
    "sum_range": ("sum(range(10**11))", TIME),
    "power": ("9**9**9", TIME),
    "factorial": ("import math\nmath.factorial(10**7)", TIME),
    "list_range": ("list(range(10**10))", MEMORY),
    "string_repeat": ("'a' * 10**10", MEMORY),
    "list_doubling": ("a = [0]\nwhile True: a = a + a", MEMORY),
    "alias_print": ("a = [0] * 100\nfor i in range(6): a = [a] * 100\nprint(a)", TIME),
    "print_flood": ("while True: print('x' * 1000)", PRINTED),
    "show_flood": ("'x' * 10**6", PRINTED),
    "stdout": ("import sys\nwhile True: sys.stdout.write('x' * 1000)", PRINTED),
    "endless_repeat": ("import itertools\nsum(itertools.repeat(1))", TIME),
    "swallowed": ("class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): return True\nwhile True:\n    with C():\n        while True: pass", TIME),
    "recursion": ("def f(n): return f(n + 1)\nf(0)", "maximum recursion depth exceeded"),
    "module_recursion": ("class A(nn.Module):\n    def forward(self, x): return self(x)\nA()(torch.ones(1))", "maximum recursion depth exceeded"),
    "deep_list": ("a = []\nfor i in range(100000): a = [a]\nprint(a)", "maximum recursion depth exceeded"),
    "zeros_huge": ("torch.zeros(60000, 60000)", "a tensor of 13,733 MB: the reader has 640 MB"),
    "zeros_many": ("a = []\nwhile True: a.append(torch.zeros(4000000))", "another tensor of 15 MB: the reader has 640 MB"),
    "np_huge": ("np.ones((10**5, 10**6))", "an array of 745. GiB: the reader has 640 MB"),
    "broadcast": ("torch.ones(100000, 1) + torch.ones(1, 100000)", MEMORY),
    "matmul_work": ("a = torch.ones(4000, 4000)\nwhile True: a = a @ a", TIME),
    "svd": ("torch.linalg.svd(torch.ones(3000, 3000))", TIME),
    "conv_weights": ("nn.ConvTranspose2d(4096, 4096, 7)", "a tensor of 3,136 MB"),
    "conv_output": ("F.conv_transpose2d(torch.ones(1, 1, 64, 64), torch.ones(1, 1, 2, 2), stride=30000)", MEMORY),
    "conv_work": ("x = torch.ones(16, 512, 64, 64)\nw = torch.ones(512, 512, 3, 3)\nwhile True: F.conv_transpose2d(x, w)", TIME),
    "conv_many": ("x = torch.ones(1, 1, 2)\nwhile True: F.conv_transpose1d(x, x)", TIME),
    "conv_grown": ("x = torch.ones(1, 1, 2)\nwhile True: x = F.conv_transpose1d(x, torch.ones(1, 1, 2), stride=2)", ""),
    "unbind": ("list(torch.zeros(10**7))", ""),
    "asdict": ("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: list\na = A([0] * 1000)\nfor i in range(9): a = A([a] * 100)\ndataclasses.asdict(a)", TIME),
    "sleep": ("import time\ntime.sleep(1000)", "no convolution ran"),
    "real_sleep": ("import select\nselect.select([], [], [], 1000)", "Operation not permitted"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_by_name(name: str) -> None:
    source, expected = BOMBS[name]
    seconds = 1.0 if expected == TIME else 30.0
    _, error = read(T + source, replace(LIMITS, seconds=seconds, wall_seconds=60.0))
    assert error is not None and expected in error.message
    assert len(error.message) < 400


def test_sizes_that_torch_wraps_without_a_word_are_not_shown() -> None:
    wrapped = "F.conv_transpose2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 5, 5), dilation=2**62)"
    reading, error = read(T + wrapped)
    assert error is None and reading.calls == () and reading.sizes == ()
    assert "sizes that torch's own numbers can't hold" in reading.notes[0].text


def test_what_came_before_the_end_is_kept() -> None:
    for ending in ("while True: pass", "sum(range(10**12))", "import ctypes\nctypes.string_at(0)"):
        reading, error = read(f"{GOOD}\n{ending}", replace(LIMITS, seconds=0.5))
        assert error is not None and error.type == "Refused" and error.hint
        assert reading.printed == "[[[1.0, 2.0, 1.0]]]\n" and len(reading.calls) == 1


def test_who_waits_without_computing_is_ended_by_the_clock_on_the_wall() -> None:
    sleep = "import ctypes\nctypes.CDLL(None).usleep(10**9)\nctypes.CDLL(None).sleep(1000)"
    _, error = read(sleep, replace(LIMITS, wall_seconds=1.5))
    assert error is not None and error.message == "more than 1.5 seconds on the clock"


# -- texts that are hard to parse ------------------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(alphabet=st.sampled_from("abfx019 .,:;=+-*/()[]{}'\"#\n\t\\%@<>!_é“"), max_size=60))
def test_any_text_meets_only_the_readers_own_error(text: str) -> None:
    with suppress(SnippetError):
        read_snippet(text)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "[" * 150 + "]" * 150,
        "-" * 54_000 + "1",
        "not " * 46_000 + "1",
        "lambda:" * 20_000 + "1",
        "1 if 1 else " * 16_000 + "1",
        "a" + ".b" * 50_000,
        "f" + "()" * 50_000,
        "1" + "+1" * 90_000,
        "a = " * 30_000 + "1",
        "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 99)) + " " * 99 + "x",
        "x" * 200_001,
        "\ud800",
        "a = 1\x00",
        "'" * 3,
        "[1," * 60_000,
        "\\" * 1000,
        "f'" + "{" * 100,
        "9" * 5000,
        "0x" + "f" * 15000,
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode() + str(len(text)),
)  # fmt: skip
def test_text_that_is_hard_to_parse(text: str) -> None:
    _, error = read(text)
    assert error is not None and len(error.message) < 400
    assert error.type in (
        "Refused", "SyntaxError", "NameError", "NothingToExplain", "RecursionError", "TypeError",
        "ValueError",
    )  # fmt: skip


def test_nothing_of_the_process_is_changed() -> None:
    """Seeds, printing and dtype of one text do not reach the next, nor the caller."""
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, _ = read(
        T + "torch.set_default_dtype(torch.float64)\ntorch.set_printoptions(precision=1)\n"
        "np.set_printoptions(precision=1)\ntorch.set_grad_enabled(False)\nnp.random.seed(1)\n"
        "print(F.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2)))"
    )
    assert "float64" in str(first.calls[0].x.dtype)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
    assert read("import torch\nprint(torch.tensor(1 / 3))")[0].printed == "tensor(0.3333)\n"


#: The rows of the table of limits in docs/snippets.md, each with the limits that it states.
LIMIT_ROWS = (
    ("source_chars",),
    ("text_chars",),
    ("calls", "recorded_elements"),
    ("weights_bytes",),
    ("seconds",),
    ("wall_seconds",),
    ("bytes",),
)


def test_every_limit_is_that_of_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "snippets.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| ([^|]*\d[^|]*) \|$", text.partition("## Limits")[2], re.M)
    said = [[float(n.replace(",", "")) for n in re.findall(r"\d[\d,.]*\d|\d", row)] for row in rows]
    assert said == [
        [getattr(LIMITS, name) / (2**20 if "bytes" in name else 1) for name in names]
        for names in LIMIT_ROWS
    ]
    assert {name for names in LIMIT_ROWS for name in names} == {
        part.name for part in fields(Limits)
    }
