"""One text, run with real Python and torch. Only in a process of its own; see `box`."""

from __future__ import annotations
import __future__

import ast
import contextlib
import importlib
import inspect
import io
import linecache
import re
import traceback
import types
import warnings
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from convt_trace.snippet.attempts import FUNCTIONS, arguments, attempted
from convt_trace.snippet.box import Clock
from convt_trace.snippet.limits import Limits
from convt_trace.snippet.loading import Loading
from convt_trace.snippet.places import FILE, lines_of
from convt_trace.snippet.reading import Definition
from convt_trace.snippet.recorder import Recorder
from convt_trace.snippet.saved import Unread, saved_in
from convt_trace.snippet.standin import StandIn
from convt_trace.snippet.surroundings import Draws, arrange, bare_names, main_module
from convt_trace.snippet.weights import Weights
from convt_trace.snippet.wire import Send
from convt_trace.snippet.written import (
    guarded_imports,
    imports_all,
    reads_gradients,
    send_error,
    unmade_names,
    written_in,
)


@dataclass(frozen=True)
class Request:
    """What a process is asked to read.

    Attributes
    ----------
    source : str
    seed : int
        What unseeded random generators start from.
    target : str or int or None
        The class, or the line of the layer, to run when the text has ended.
    input_shapes : tuple of shapes
    init_args : str or None
    meta : bool
        Whether tensors are made on the meta device: they have sizes, and no numbers.
    mends : bool
        Whether tensors that do not fit together are made to fit, so that what comes behind is known too.
    """

    source: str
    seed: int
    target: str | int | None = None
    input_shapes: tuple[tuple[int, ...], ...] = ()
    init_args: str | None = None
    meta: bool = False
    mends: bool = False


def read(
    request: Request, limits: Limits, send: Send, clock: Clock, weights: Weights | None = None
) -> None:
    """Read a text and send what it holds; never raises."""
    np.seterr(all="warn")
    found = written_in(request.source, limits, send)
    if found is None:
        return
    tree, source, written = found
    places = {place: number for number, (place, _) in enumerate(written)}
    recorder = Recorder(send, limits, places)
    clock.over = recorder.out_of_time
    recorder.reads_gradients = reads_gradients(tree)
    recorder.mends = request.mends
    loading = None
    if weights is not None:
        try:
            loading = Loading(weights, send, tree, "meta" if request.meta else "cpu")
        except Unread as error:  # its numbers without the file would be others
            send("left", list(range(len(written))))
            send_error(send, "Refused", str(error), [], error.hint)
            return
    Running(request, limits, recorder, tree, [one for _, one in written], loading).run(source)


class Running:
    """One text while it runs.

    Parameters
    ----------
    request : Request
    limits : Limits
    recorder : Recorder
    tree : ast.Module
    written : list of Definition
    loading : Loading, optional
        The file of weights beside the text.
    """

    def __init__(
        self,
        request: Request,
        limits: Limits,
        recorder: Recorder,
        tree: ast.Module,
        written: list[Definition],
        loading: Loading | None = None,
    ):
        self._request, self._limits, self._recorder = request, limits, recorder
        self._tree, self._written, self._loading = tree, written, loading
        self._send = recorder.send
        self._main = main_module()
        self._names: dict[str, Any] = self._main.__dict__

    def run(self, source: str) -> None:
        """Run the text, then what was asked for; send what is left."""
        lines = [line + "\n" for line in source.split("\n")]
        linecache.cache[FILE] = (len(source), None, lines, FILE)
        draws = Draws(self._request.seed)
        self._recorder.watch_layers()
        unmade = [*unmade_names(self._tree)]
        arrange(self._recorder, self._names, guarded_imports(self._tree), unmade, self._loading)
        self._name_what_is_bare()
        if self._request.meta:
            torch.set_default_device("meta")
        failed: BaseException | None = None
        ran: set[int] | None = None
        with warnings.catch_warnings(), self._recorder:
            warnings.simplefilter("ignore")
            try:
                self._execute()
                ran = set(self._recorder.ran)
                self._run_what_was_asked_for()
            except SystemExit:
                pass
            except BaseException as error:
                failed = error
        self._recorder.flush()
        if self._loading is not None:
            self._loading.end()
        self._send("random", draws.look())
        self._end(failed, ran)

    # -- before -----------------------------------------------------------------------------------

    def _name_what_is_bare(self) -> None:
        """Give names that a text uses without an import what they are known for."""
        known = bare_names()
        held, quiet = self._names["__builtins__"], imports_all(self._tree)
        for name, line in sorted(unmade_names(self._tree).items(), key=lambda one: one[1]):
            if name in known and name not in held:
                held[name] = known[name]
                if not quiet:
                    text = f"{name} is read as torch's: the text does not import it"
                    self._recorder.note(text, line)

    # -- running ----------------------------------------------------------------------------------

    def _execute(self) -> None:
        """Run the text's statements; show what its bare expressions give, as a notebook does."""
        body, flags = _without_futures(self._tree.body)
        tree = ast.Module(body, [])
        compile(tree, FILE, "exec", flags, dont_inherit=True)  # a SyntaxError of its own
        doc = ast.get_docstring(self._tree, clean=False)
        self._names["__doc__"] = doc
        for number, statement in enumerate(body):
            if self._is_output(statement):
                self._recorder.note("read as pasted output, not as code", statement.lineno)
            elif isinstance(statement, ast.Expr) and not (number == 0 and doc is not None):
                expression = ast.Expression(statement.value)
                code = compile(expression, FILE, "eval", flags, dont_inherit=True)
                self._show(statement.lineno, eval(code, self._names))
            else:
                block = ast.Module([statement], [])
                exec(compile(block, FILE, "exec", flags, dont_inherit=True), self._names)
            self._recorder.flush()  # what the kernel ends has no time to send it

    def _is_output(self, statement: ast.stmt) -> bool:
        """Whether a statement is a printed tensor or array: no name of the text stands for them."""
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return False
        name = call.func.id
        return name in ("tensor", "array") and name not in self._names

    def _show(self, line: int, value: Any) -> None:
        if value is None or isinstance(value, StandIn):
            return
        text = repr(value)
        if not _ADDRESS.search(text):
            self._recorder.show(line, text)

    def _run_what_was_asked_for(self) -> None:
        """Run the class or layer that was asked for, or what can run by itself."""
        request = self._request
        if request.target is not None:
            self._run(self._target(request.target), request.input_shapes, request.init_args)
        elif not self._recorder.sized and callable(self._names.get("get_inputs")):
            owners = [one.owner for one in self._written]
            for name in ("ModelNew", "Model", *owners):
                cls = self._names.get(name or "")
                if isinstance(cls, type) and issubclass(cls, torch.nn.Module):
                    self._run(cls, (), None)
                    self._recorder.note("run with its own get_init_inputs() and get_inputs()", 0)
                    return

    def _target(self, target: str | int) -> Any:
        if isinstance(target, int):
            for one in self._written:
                if target in (one.line, one.owner_line):
                    if one.owner is not None:
                        return self._target(one.owner)
                    return self._layer_of(one.line)
            raise _Unasked(f"no layer to run on line {target}", "Name a line that defines one.")
        held = self._names.get(target)
        if held is None:
            raise _Unasked(f"no class named {target[:60]}", "Name a class of the text.")
        return held

    def _layer_of(self, line: int) -> Any:
        for layer, numbers in self._recorder.made_at.items():
            if any(self._written[number].line == line for number in numbers):
                return layer
        raise _Unasked(f"no layer to run on line {line}", "Name a line that defines one.")

    def _run(self, target: Any, shapes: Any, init_args: str | None) -> None:
        model = target
        if not isinstance(target, torch.nn.Module):
            args, kwargs = self._arguments(init_args)
            model = target(*args, **kwargs)
        if not isinstance(target, (type, torch.nn.Module)) and not isinstance(
            model, torch.nn.Module
        ):
            return  # a function ran
        inputs = tuple(torch.randn(*shape) for shape in shapes)
        if not inputs and callable(self._names.get("get_inputs")):
            inputs = tuple(self._names["get_inputs"]())
        if not inputs:
            raise _Unasked("a run without an input shape", "Give the shape of the input.")
        model(*inputs)

    def _arguments(self, written: str | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if written is not None:
            names = {**self._names, "_given": lambda *args, **kwargs: (args, kwargs)}
            return eval(compile(f"_given({written}\n)", FILE, "eval"), names)
        given = self._names.get("get_init_inputs")
        held = given() if callable(given) else ()
        return ((), held) if isinstance(held, dict) else (tuple(held or ()), {})

    # -- the end ----------------------------------------------------------------------------------

    def _end(self, failed: BaseException | None, ran: set[int] | None) -> None:
        """Send what ended the text, and what is written in it that nothing called.

        ``ran`` is what the text itself has run; None where an error ended it.
        """
        stack = lines_of(failed) if failed is not None else []
        if failed is not None and not stack and isinstance(failed, SyntaxError) and failed.lineno:
            stack = [failed.lineno]
        # What failed after the text had ended may be run otherwise.
        ran = self._recorder.ran if failed is None or ran is None else ran
        called = stack[-1:] + _lines_in_functions(failed)
        left = [
            number
            for number, one in enumerate(self._written)
            if number not in ran and not (ran is self._recorder.ran and self._around(one, called))
        ]
        self._send("left", left)
        refused = self._recorder.refused
        if failed is not None:
            told = next((one for one in refused if one[0] is failed), None)
            frames = [frame for frame, _ in traceback.walk_tb(failed.__traceback__)][::-1]
            attempt = told[1] if told else attempted(frames) or self._given_at_the_end(failed)
            send_error(self._send, *_told(failed, stack, self._limits), attempt or None)
            return
        for error, _, lines in refused:
            text = f"the text catches torch's {type(error).__name__}: {_message(error)}"
            self._recorder.note(text, (lines or [0])[-1])
        if not self._recorder.sized and not left:
            if refused:
                error, attempt, lines = refused[-1]
                send_error(self._send, *_told(error, lines, self._limits), attempt or None)
                return
            what = "no convolution ran, and no transposed one is defined"
            if self._written:
                what = "no convolution ran"
            hint = "Paste the lines that make the layer and call it."
            send_error(self._send, "NothingToExplain", what, [], hint)

    def _given_at_the_end(self, failed: BaseException) -> dict[str, Any]:
        """Return what torch's function was given where it failed before anybody could see it.

        Its own parser of arguments refuses wrong kinds before it asks a `TorchFunctionMode`. The
        arguments are worked out again, which nothing but this explanation depends on.
        """
        last = failed.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        if (
            not isinstance(failed, TypeError)
            or last is None
            or last.tb_frame.f_code.co_filename != FILE
        ):
            return {}
        frame = last.tb_frame
        place = next(islice(frame.f_code.co_positions(), last.tb_lasti // 2, None))
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and _place(node) == place:
                try:
                    return _asked(node, frame)
                except Exception:
                    return {}
        return {}

    def _around(self, one: Definition, stack: list[int]) -> bool:
        """Whether an error came from inside of what a definition stands in: it was being called."""
        return any(first <= line <= last for first, last in self._spans(one) for line in stack)

    def _spans(self, one: Definition) -> list[tuple[int, int]]:
        spans = [(one.line, one.line)]
        for node in ast.walk(self._tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.lineno == one.owner_line:
                spans.append((node.lineno, node.end_lineno or node.lineno))
        return spans


def _lines_in_functions(failed: BaseException | None) -> list[int]:
    """Return the lines inside functions and methods that an error came through: these were called."""
    if failed is None:
        return []
    return [
        line
        for frame, line in traceback.walk_tb(failed.__traceback__)
        if frame.f_code.co_filename == FILE and frame.f_code.co_flags & inspect.CO_OPTIMIZED
    ]


class _Unasked(Exception):
    """What was asked to be run is not there."""

    def __init__(self, what: str, hint: str):
        super().__init__(what)
        self.hint = hint


def _without_futures(body: list[ast.stmt]) -> tuple[list[ast.stmt], int]:
    """Return a text without its `from __future__` imports, and their flags.

    They hold for a whole text, and of two files below each other the second has its own.
    """
    kept, flags = [], 0
    for statement in body:
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            for alias in statement.names:
                flags |= getattr(getattr(__future__, alias.name, None), "compiler_flag", 0)
        else:
            kept.append(statement)
    return kept, flags


_ADDRESS = re.compile(r"<.* at 0x[0-9a-fA-F]+>")
_ALLOCATE = re.compile(r"tried to allocate (\d+) bytes|allocate ([\d.]+ \w+) for an array")


def _told(
    error: BaseException, stack: list[int], limits: Limits
) -> tuple[str, str, list[int], str]:
    """Return type, message, lines and hint of what ended a text."""
    if isinstance(error, _Unasked):
        return "Refused", str(error), stack, error.hint
    message = _message(error)
    room = f"the reader has {limits.bytes >> 20} MB"
    asked = _ALLOCATE.search(message)
    if asked or isinstance(error, MemoryError) or "not enough memory" in message:
        size = int(asked[1]) / 2**20 if asked and asked[1] else None
        what = f"a tensor of {size:,.0f} MB" if size else (asked and f"an array of {asked[2]}")
        if size and size < limits.bytes >> 20:
            what = f"another tensor of {size:,.0f} MB"
        return "Refused", f"{what or 'more memory'}: {room}", stack, "Use smaller tensors."
    if isinstance(error, PermissionError):
        what = f"{message.partition(']')[2].strip() or message}: there are no files and no network here"
        return "Refused", what, stack, "Write the numbers out, or use torch.randn."
    hint = "Paste the line that defines it." if type(error) is NameError else ""
    return type(error).__name__, message, stack, hint


def _place(node: ast.Call) -> tuple[int | None, ...]:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _asked(node: ast.Call, frame: types.FrameType) -> dict[str, Any]:
    """Return the attempt that a call of torch's function was; empty for any other function."""
    op = FUNCTIONS.get(_evaluated(node.func, frame))
    if op is None:
        return {}
    held = ast.copy_location(ast.Name("_held", ast.Load()), node)
    call = ast.copy_location(ast.Call(held, node.args, node.keywords), node)
    args, kwargs = _evaluated(call, frame, _held=lambda *args, **kwargs: (args, kwargs))
    return attempted([], op, arguments(op, args, kwargs))


def _evaluated(node: ast.expr, frame: types.FrameType, **more: Any) -> Any:
    names = {**frame.f_globals, **frame.f_locals, **more}
    with contextlib.redirect_stdout(io.StringIO()):
        return eval(compile(ast.Expression(node), FILE, "eval"), names)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:
        text = type(error).__name__
    return (text.strip().split("\n") or [""])[0][:2000]


#: What texts import. The box opens no file: what is not loaded before it is locked is not there.
_LOADED = """
abc argparse array ast asyncio atexit base64 bisect builtins bz2 calendar cmath cmd code codecs
collections.abc colorsys concurrent.futures configparser contextlib contextvars copy copyreg csv
ctypes ctypes.util dataclasses datetime decimal difflib dis email.message enum errno faulthandler
fcntl fileinput fnmatch fractions functools gc getopt getpass glob graphlib gzip hashlib heapq hmac html
http.client importlib.metadata importlib.resources importlib.util inspect io itertools json keyword
linecache locale logging.config logging.handlers lzma math mmap multiprocessing.pool
multiprocessing.queues multiprocessing.shared_memory numbers
opcode operator optparse os.path pathlib pdb pickle pickletools pkgutil platform pprint profile cProfile
pstats queue random re reprlib resource runpy sched secrets select shelve shlex shutil signal site
socket sqlite3 ssl stat statistics string struct subprocess symtable sys sysconfig tarfile tempfile
textwrap threading time timeit token tokenize trace traceback tracemalloc types typing
unicodedata unittest.mock urllib.parse urllib.request uuid warnings weakref xml.etree.ElementTree zipfile
zlib typing_extensions
numpy.ctypeslib numpy.fft numpy.lib.stride_tricks numpy.linalg numpy.ma numpy.polynomial numpy.random
numpy.testing numpy.typing
torch._dynamo torch.ao.nn.quantized torch.ao.quantization torch.autograd.functional
torch.autograd.gradcheck torch.autograd.profiler torch.backends.cudnn torch.cuda.amp torch.distributed
torch.distributions torch.fft torch.func torch.fx torch.hub torch.jit torch.linalg
torch.multiprocessing torch.nn.attention torch.nn.grad torch.nn.intrinsic torch.nn.modules.utils
torch.nn.parallel torch.nn.utils.fusion torch.nn.utils.parametrizations torch.nn.utils.parametrize
torch.nn.utils.prune torch.nn.utils.rnn torch.onnx torch.optim.lr_scheduler torch.optim.swa_utils
torch.overrides torch.profiler torch.sparse torch.special torch.testing torch.utils.benchmark
torch.utils.checkpoint torch.utils.data.dataset torch.utils.flop_counter torch.utils.hooks
torch.utils.mobile_optimizer torch.utils.model_zoo
safetensors.torch
"""


def warm() -> None:
    """Load what texts import and what torch loads late; on tensors too small to start threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in _LOADED.split():
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    torch.set_num_threads(1)
    x = torch.ones(1, 1, 3, requires_grad=True)
    layers = torch.nn.ConvTranspose1d(1, 1, 2), torch.nn.ReLU(), torch.nn.Conv1d(1, 1, 1)
    y = torch.nn.Sequential(*layers)(x)
    y.sum().backward()
    torch.optim.SGD([x]).step()
    repr(y), f"{y.sum().item():.2f}", repr(np.ones(2)), torch.jit.trace(layers[1], x)
    torch.func.vmap(torch.sin)(torch.ones(2))
    for zipped in (True, False):
        file = io.BytesIO()
        torch.save({"x": x.detach()}, file, _use_new_zipfile_serialization=zipped)
        saved_in(Weights("x.pt", file.getvalue()))
