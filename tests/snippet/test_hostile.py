# ruff: noqa: E501  the texts stand on one line each
"""Texts that try to get out, or to use up what there is: refused, without side effect.

Each attempt has a name; what may happen instead of a refusal is only an error of the text's own.
"""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from convt_trace.snippet.values import names_in
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convt_trace.snippet import LIMITS, SnippetError, interpreter, read_snippet
from convt_trace.snippet.limits import Limits
from tests.snippet.real import PATIENT

T = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nimport numpy as np\n"

#: Attempts to reach what is not in the tables.
ESCAPES = {
    "import_os": "import os\nos.system('touch {out}')",
    "import_os_as_torch": "import os as torch\ntorch.system('touch {out}')",
    "from_os_import": "from os import system\nsystem('touch {out}')",
    "subprocess": "import subprocess\nsubprocess.run(['touch', '{out}'])",
    "dunder_import": "__import__('os').system('touch {out}')",
    "eval_text": "eval('1+1')",
    "exec_text": "exec('import os')",
    "compile_text": "compile('1', 'a', 'eval')",
    "open_file": "open('{out}', 'w').write('x')",
    "input_prompt": "input()",
    "breakpoint_call": "breakpoint()",
    "globals_call": "globals()",
    "getattr_dunder": "getattr(torch.ones(1), '__cl' + 'ass__').__mro__",
    "getattr_module": "getattr(torch, 'o' + 's').system('touch {out}')",
    "torch_os": "torch.os.system('touch {out}')",
    "torch_sys": "torch.sys.modules",
    "torch_builtins": "torch.builtins.eval('1')",
    "torch_importlib": "torch.importlib.import_module('os')",
    "functional_warnings": "F.warnings.sys",
    "functional_np": "nn.functional.np.load('{out}')",
    "np_f2py": "np.f2py.os",
    "np_lib_strides": "np.lib.stride_tricks.as_strided(np.zeros(1), (10**9,))",
    "np_ctypeslib": "np.ctypeslib.as_array(0)",
    "np_load": "np.load('{out}')",
    "np_save": "np.save('{out}', np.ones(1))",
    "np_tofile": "np.ones(1).tofile('{out}')",
    "np_fromfile": "np.fromfile('/etc/passwd')",
    "np_genfromtxt": "np.genfromtxt('/etc/passwd')",
    "np_memmap": "np.memmap('{out}', mode='w+', shape=(1,))",
    "np_vectorize": "np.vectorize(lambda x: x)(np.ones(2))",
    "np_objects": "np.array([nn.ReLU], dtype=object)",
    "np_objects_positional": "np.zeros(3, 'O')",
    "np_object_letters": "np.zeros(2, dtype='O')",
    "np_huge_strings": "np.zeros(10, dtype='S100000000')",
    "np_structured": "np.zeros(10, dtype=[('a', 'V100000000')])",
    "torch_load": "torch.load('{out}')",
    "torch_save": "torch.save(torch.ones(1), '{out}')",
    "torch_hub": "torch.hub.load('a/b', 'c')",
    "torch_from_file": "torch.from_file('/etc/passwd', size=1)",
    "torch_jit": "torch.jit.script(lambda x: x)",
    "torch_ops": "torch.ops.load_library('{out}')",
    "torch_classes": "torch.classes.load_library('{out}')",
    "torch_c": "torch._C._cuda_init()",
    "torch_utils_cpp": "torch.utils.cpp_extension.load(name='a', sources=[])",
    "torch_utils_data": "torch.utils.data.DataLoader([1])",
    "torch_multiprocessing": "torch.multiprocessing.spawn(print)",
    "as_strided": "torch.ones(1).as_strided((10**6,), (1,))",
    "torch_as_strided": "torch.as_strided(torch.ones(1), (10**6,), (1,))",
    "set_": "torch.ones(1).set_(torch.ones(2).storage())",
    "data_ptr": "torch.ones(1).data_ptr()",
    "resize_": "torch.ones(1).resize_(10**9)",
    "storage": "torch.ones(1).untyped_storage()",
    "apply_callback": "torch.ones(1).apply_(lambda x: x)",
    "map_callback": "torch.ones(1).map_(torch.ones(1), lambda x, y: x)",
    "hook_callback": "torch.ones(1, requires_grad=True).register_hook(print)",
    "forward_hook": "nn.ReLU().register_forward_hook(print)",
    "own_function_to_torch": "torch.tensor(lambda: 1)",
    "own_class_to_torch": "class A:\n    def __index__(self): return 10**12\ntorch.zeros(A())",
    "class_bases": "torch.ones(1).__class__.__bases__",
    "int_subclasses": "(1).__class__.__base__.__subclasses__()",
    "string_class": "''.__class__.__mro__[1]",
    "function_globals": "def f(): pass\nf.__globals__",
    "function_code": "def f(): pass\nf.__code__",
    "builtin_self": "print.__self__",
    "module_dict": "nn.ReLU().__dict__",
    "module_class_init": "nn.ReLU().__class__.__init__.__globals__",
    "tensor_reduce": "torch.ones(1).__reduce_ex__(2)",
    "exception_traceback": "try:\n    1/0\nexcept Exception as e:\n    e.__traceback__.tb_frame",
    "generator_frame": "(x for x in [1]).gi_frame",
    "format_attribute": "'{{0.__class__}}'.format(1)",
    "format_item": "'{{0[0]}}'.format([1])",
    "format_map": "'{{a}}'.format_map({{}})",
    "format_nested": "'{{:{{0.__class__}}}}'.format(1, 2)",
    "fstring_attribute": "f'{{torch.os}}'",
    "percent_width": "'%1000000000d' % 1",
    "percent_star": "'%*d' % (10**9, 1)",
    "format_width": "'{{:>1000000000}}'.format(1)",
    "fstring_width": "f'{{1:>{{10**9}}}}'",
    "format_precision": "format(1.0, '.999999999f')",
    "rebind_torch": "torch = 1",
    "rebind_nn_loop": "for nn in [1]: pass",
    "rebind_np_argument": "def f(np): pass",
    "rebind_F": "F = eval",
    "rebind_module_function": "torch.zeros = print",
    "rebind_in_class": "class torch: pass",
    "rebind_walrus": "(torch := 1)",
    "rebind_import_from": "from os import path as torch",
    "set_backend_default": "torch.set_default_device('meta')\ntorch.os",
    "lambda_default": "f = lambda x=torch.os: x",
    "decorator_escape": "@torch.os.system\ndef f(): pass",
    "annotation_value": "x: int = torch.os",
    "match_statement": "match 1:\n    case int(): pass",
    "argparse_file": "import argparse\np = argparse.ArgumentParser(fromfile_prefix_chars='@')\nprint(p.parse_args(['@/etc/passwd']))",
    "argparse_type": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', type=eval)\np.parse_args(['--x', '1'])",
    "argparse_open": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', type=argparse.FileType('w'))",
    "argparse_exit": "import argparse\nargparse.ArgumentParser().parser.exit()",
    "argparse_class": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--x', dest='__class__')\np.parse_args().__class__.__bases__",
    "attrgetter": "import operator\noperator.attrgetter('os')(torch)",
    "attrgetter_path": "import operator\noperator.attrgetter('__class__.__mro__')(1)",
    "namedtuple_code": "import collections\ncollections.namedtuple('P', ['x; import os'])",
    "namedtuple_bases": "import collections\nP = collections.namedtuple('P', 'x')\nP(1).__class__.__bases__",
    "get_submodule": "nn.ReLU().get_submodule('__class__')",
    "get_parameter": "nn.ReLU().get_parameter('forward.__globals__')",
    "error_traceback": "class E(Exception): pass\ntry: raise E('a')\nexcept E as e: e.__traceback__.tb_frame",
    "exit_traceback": "class C:\n    def __enter__(self): return self\n    def __exit__(self, k, e, t): k.__subclasses__()\nwith C(): 1 / 0",
    "exit_swallows": "class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): return True\nwith C(): torch.os",
    "fallback": "try:\n    import os_\nexcept ImportError:\n    x = 1\nimport os\nos.system('touch {out}')",
    "vars_module": "vars(torch)",
    "rng_state": "torch.random.set_rng_state(torch.ones(1))",
    "jit_load": "torch.jit.load('{out}')",
    "environment": "import os\nprint(os.environ['HOME'])",
    "array_text": "np.array2string(np.ones(5), formatter={{'all': print}})",
    "yield_frame": "def f():\n    yield 1\nf().gi_frame",
    "yield_throw": "def f():\n    yield 1\nf().throw(ValueError)",
    "yield_to_torch": "def f():\n    yield 1\ntorch.tensor(f())",
    "yield_in_with": "def f():\n    with torch.no_grad():\n        yield 1\nlist(f())",
    "hook_with_kwargs": "nn.ReLU().register_forward_hook(print, with_kwargs=True)",
    "hook_to_torch": "nn.ReLU().register_full_backward_hook(print)",
    "hook_dict": "nn.ReLU().register_forward_hook(print).hooks",
    "await_statement": "async def f():\n    await 1",
    "async_comprehension": "async def f():\n    return [x async for x in y]",
    "metaclass": "class A(metaclass=type): pass",
    "type_three": "type('A', (), {{}})",
    "autograd_function": "class A(torch.autograd.Function): pass",
    "class_getattr": "class A:\n    __slots__ = ()\n",
    "context_own": "class A:\n    def __enter__(self): return 1\nwith A(): pass",
    "urllib": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1')",
    "socket": "import socket\nsocket.socket()",
    "requests": "import requests\nrequests.get('http://127.0.0.1')",
    "ctypes": "import ctypes\nctypes.string_at(0)",
    "pickle": "import pickle\npickle.loads(b'')",
    "sys_exit": "import sys\nsys.exit(3)",
    "raise_system_exit": "raise SystemExit(3)",
    "raise_keyboard": "raise KeyboardInterrupt",
    "raise_memory": "raise MemoryError",
    "exit_call": "exit()",
    "memory_through_id": "id(1)",
    "load_state_objects": "nn.ReLU().load_state_dict({{'a': print}})",
    "setattr_class": "setattr(nn.ReLU(), '__class__', nn.Linear)",
    "forward_replaced": "m = nn.ReLU()\nm.forward = print",
    "print_to_file": "print(1, file=open('{out}', 'w'))",
    "walk_super": "class A(nn.Module):\n    def __init__(self):\n        super().__init__.__globals__\nA()",
    "deep_star_import": "from torch import *\nos",
    "relative_import": "from . import os\nos.system('true')",
    "catch_refusal": "try:\n    torch.os\nexcept BaseException:\n    pass\n",
    "printoptions_formatter": "np.set_printoptions(formatter={{'all': print}})",
    "quantized_stride_zero": "torch.ao.nn.quantized.ConvTranspose2d(1, 1, 1, stride=0)",
}  # fmt: skip

#: Attempts to use up time or memory.
BOMBS = {
    "while_true": "while True: pass",
    "long_range": "for i in range(10**12): pass",
    "sum_range": "sum(range(10**11))",
    "list_range": "list(range(10**10))",
    "power": "9**9**9",
    "power_repeated": "x = 10\nfor i in range(100): x = x * x",
    "shift": "1 << 10**9",
    "int_text": "int('9' * 100000)",
    "factorial": "import math\nmath.factorial(10**7)",
    "string_repeat": "'a' * 10**10",
    "list_repeat": "[0] * 10**10",
    "list_doubling": "a = [0]\nwhile True: a = a + a",
    "string_doubling": "a = 'a'\nwhile True: a += a",
    "nested_lists_alias": "a = [0] * 1000\nb = [a] * 1000\nc = [b] * 1000\ntorch.tensor(c)",
    "alias_compare": "def m():\n    a = [0] * 100\n    for i in range(6): a = [a] * 100\n    return a\nm() == m()",
    "alias_hash": "a = (0,) * 100\nfor i in range(6): a = (a,) * 100\n{a: 1}",
    "alias_print": "a = [0] * 100\nfor i in range(6): a = [a] * 100\nprint(a)",
    "alias_numpy": "a = [0] * 1000\nb = [a] * 1000\nc = [b] * 1000\nnp.array(c)",
    "append_loop": "a = []\nwhile True: a.append(1)",
    "dict_loop": "d = {}\ni = 0\nwhile True:\n    d[i] = i\n    i += 1",
    "replace_growth": "a = 'a' * 1000\nfor i in range(9): a = a.replace('a', a)",
    "join_growth": "('x' * 100000).join(['a'] * 100000)",
    "zfill": "'1'.zfill(10**10)",
    "print_flood": "while True: print('x' * 1000)",
    "endless_count": "import itertools\nlist(itertools.count())",
    "endless_repeat": "import itertools\nsum(itertools.repeat(1))",
    "endless_group": "import itertools\nlist(itertools.groupby(itertools.repeat(1)))",
    "endless_next": "class G:\n    def __iter__(self): return self\n    def __next__(self): return 1\nlist(G())",
    "endless_swallowed": "class C:\n    def __enter__(self): return self\n    def __exit__(self, *a): return True\nwith C():\n    while True: pass",
    "combinations": "import itertools\nlist(itertools.combinations(range(100000), 50000))",
    "accumulate": "import itertools\nlist(itertools.accumulate(itertools.repeat('a' * 1000)))",
    "cache": "import functools\n@functools.lru_cache\ndef f(n): return [0] * n\nfor i in range(10**6): f(i)",
    "argparse_words": "import argparse\np = argparse.ArgumentParser()\np.add_argument('x', nargs=10**9)",
    "argparse_pattern": "import argparse\np = argparse.ArgumentParser()\nfor i in range(60): p.add_argument('x%d' % i, nargs='+')\np.parse_args(['1'] * 16)",
    "textwrap": "import textwrap\ntextwrap.indent('\\n' * 5000, 'x' * 5000)",
    "fft": "torch.fft.fft(torch.ones(4), n=10**10)",
    "fft_many": "while True: torch.fft.fft(torch.ones(2**20))",
    "asdict": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: list\na = A([0] * 1000)\nfor i in range(9): a = A([a] * 100)\ndataclasses.asdict(a)",
    "asdict_of_itself": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\na = A(1)\na.x = a\ndataclasses.asdict(a)",
    "extra_repr": "class A(nn.Module):\n    def extra_repr(self): return repr(self)\nprint(A())",
    "spectral_norm": "nn.utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=10**9)",
    "setter": "class A:\n    @property\n    def x(self): return 1\n    @x.setter\n    def x(self, v): self.x = v\nA().x = 1",
    "ndindex": "list(np.ndindex(1000, 1000, 1000))",
    "stdout": "import sys\nwhile True: sys.stdout.write('x' * 1000)",
    "endless_generator": "def f():\n    while True:\n        yield 1\nlist(f())",
    "endless_silence": "def f():\n    while True:\n        if False:\n            yield 1\nnext(f())",
    "endless_unpacked": "def f():\n    while True:\n        yield 1\na, *b = f()",
    "endless_sum": "def f():\n    while True:\n        yield 1\nsum(x for x in f())",
    "generator_of_itself": "def f():\n    yield from f()\nlist(f())",
    "generators_in_one_another": "def f(g):\n    yield from g\ng = iter([1])\nfor i in range(10**5): g = f(g)\nlist(g)",
    "lambdas_in_one_another": "g = iter([1])\nfor i in range(10**5): g = map(lambda x: x, g)\nlist(g)",
    "hook_recursion": "m = nn.ReLU()\nm.register_forward_hook(lambda m, i, o: m(o))\nm(torch.ones(1))",
    "recursion": "def f(n): return f(n + 1)\nf(0)",
    "mutual_recursion": "def f(n): return g(n)\ndef g(n): return f(n)\nf(0)",
    "module_recursion": "class A(nn.Module):\n    def forward(self, x): return self(x)\nA()(torch.ones(1))",
    "self_list": "a = []\na.append(a)\nprint(a)",
    "self_list_compare": "a = []\na.append(a)\nb = []\nb.append(b)\na == b",
    "deep_list": "a = []\nfor i in range(100000): a = [a]\nprint(a == a, a)",
    "product": "import itertools\nlist(itertools.product(range(1000), repeat=5))",
    "zeros_huge": "torch.zeros(60000, 60000)",
    "zeros_many": "a = []\nwhile True: a.append(torch.zeros(4000000))",
    "ones_small_many": "a = []\nwhile True: a.append(torch.ones(1000))",
    "randn_size": "torch.randn(size=(10**5, 10**5))",
    "arange_huge": "torch.arange(10**12)",
    "linspace_huge": "torch.linspace(0, 1, 10**12)",
    "eye_huge": "torch.eye(10**6)",
    "full_huge": "torch.full((10**6, 10**6), 1.)",
    "broadcast_add": "torch.ones(100000, 1) + torch.ones(1, 100000)",
    "broadcast_numpy": "np.ones((100000, 1)) * np.ones((1, 100000))",
    "outer": "torch.outer(torch.ones(100000), torch.ones(100000))",
    "matmul_work": "a = torch.ones(4000, 4000)\nwhile True: a = a @ a",
    "matmul_outer": "torch.ones(100000, 1) @ torch.ones(1, 100000)",
    "einsum": "torch.einsum('i,j,k->ijk', torch.ones(10**4), torch.ones(10**4), torch.ones(10**4))",
    "repeat": "torch.ones(1000).repeat(10**7)",
    "expand_copy": "torch.ones(1).expand(10**11).contiguous()",
    "interleave": "torch.ones(1000).repeat_interleave(10**8)",
    "interleave_tensor": "torch.ones(2).repeat_interleave(torch.tensor([10**10, 1]))",
    "meshgrid": "torch.meshgrid(torch.ones(10**5), torch.ones(10**5))",
    "cat_many": "torch.cat([torch.ones(1000000)] * 1000)",
    "stack_many": "torch.stack([torch.ones(1000000)] * 1000)",
    "pad_huge": "F.pad(torch.ones(1, 1), (10**9, 10**9))",
    "interpolate_huge": "F.interpolate(torch.ones(1, 1, 4, 4), scale_factor=1e6)",
    "upsample_huge": "nn.Upsample(size=(10**6, 10**6))(torch.ones(1, 1, 4, 4))",
    "one_hot": "F.one_hot(torch.tensor([10**12]))",
    "bincount": "torch.bincount(torch.tensor([10**12]))",
    "unbind": "list(torch.zeros(10**7))",
    "tolist": "torch.zeros(10**7).tolist()",
    "diag_embed": "torch.diag_embed(torch.ones(10**6))",
    "index_bomb": "torch.ones(10, 100000)[torch.zeros(10**6).long()]",
    "unfold_bomb": "F.unfold(torch.ones(1, 64, 500, 500), 31)",
    "kron": "torch.kron(torch.ones(10000), torch.ones(10000))",
    "cdist": "torch.cdist(torch.ones(10**5, 1), torch.ones(10**5, 1))",
    "pool_padding": "F.max_pool2d(torch.ones(1, 1, 4, 4), 2**14, stride=1, padding=2**13)",
    "adaptive_pool": "nn.AdaptiveAvgPool2d(10**5)(torch.ones(1, 1, 2, 2))",
    "linear_huge": "nn.Linear(10**5, 10**5)",
    "embedding_huge": "nn.Embedding(10**6, 10**3)",
    "lstm_layers": "nn.LSTM(8, 8, num_layers=10**6)",
    "conv_weights": "nn.ConvTranspose2d(4096, 4096, 7)",
    "conv_kernel": "nn.ConvTranspose2d(1, 1, 20000)",
    "conv_dilation": "F.conv_transpose2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 5, 5), dilation=2**62)",
    "conv_stride": "F.conv_transpose2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 5, 5), stride=2**31)",
    "conv_padding": "F.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 1, 1), padding=2**30)",
    "conv_output": "F.conv_transpose2d(torch.ones(1, 1, 64, 64), torch.ones(1, 1, 2, 2), stride=30000)",
    "conv_work": "x = torch.ones(16, 512, 64, 64)\nw = torch.ones(512, 512, 3, 3)\nF.conv_transpose2d(x, w)",
    "conv_depthwise_work": "x = torch.ones(8, 256, 64, 64)\nwhile True: F.conv_transpose2d(x, torch.ones(256, 1, 9, 9), groups=256, padding=4)",
    "conv_many": "x = torch.ones(1, 1, 2)\nwhile True: F.conv_transpose1d(x, x)",
    "conv_grown": "x = torch.ones(1, 1, 2)\nwhile True: x = F.conv_transpose1d(x, torch.ones(1, 1, 2), stride=2)",
    "conv_reassigned": "m = nn.ConvTranspose2d(1, 1, 2)\nm.dilation = (2**40, 2**40)\nm(torch.ones(1, 1, 2, 2))",
    "np_tile": "np.tile(np.ones(1000), 10**8)",
    "np_pad": "np.pad(np.ones((10, 10)), 10**6)",
    "np_ogrid": "np.mgrid[:100000, :100000]",
    "np_linspace": "np.linspace(0, 1, 10**12)",
    "np_random": "np.random.rand(10**5, 10**5)",
    "np_convolve": "np.convolve(np.ones(10**6), np.ones(10**6))",
    "generator_sum": "sum(i for i in range(10**9))",
    "comprehension_product": "[i for a in range(10**4) for i in range(10**4)]",
    "sorted_long": "sorted(range(10**8))",
    "max_long": "max(range(10**9))",
    "print_threshold": "torch.set_printoptions(threshold=10**9)\nprint(torch.zeros(10**6))",
    "svd": "torch.linalg.svd(torch.ones(3000, 3000))",
    "enumerate_while": "for i, x in enumerate(iter(range(10**10))): pass",
    "sleep": "import time\ntime.sleep(100)",
    "clone_many": "x = torch.ones(4000000)\na = [x.clone() for i in range(1000)]",
}  # fmt: skip


def attempt(source: str, isolated: bool = False, limits: Limits = LIMITS) -> SnippetError:
    with pytest.raises(SnippetError) as caught:
        read_snippet(source, isolated=isolated, limits=limits)
    return caught.value


@pytest.mark.parametrize("name", ESCAPES)
def test_escape_is_refused(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    error = attempt(T + ESCAPES[name].format(out=out))
    assert error.type in (
        "Refused", "TypeError", "AttributeError", "NameError", "ValueError", "NothingToExplain"
    )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


#: Without a clock no text is refused for being slow; with fewer steps, loops end soon.
COUNTED = replace(PATIENT, steps=LIMITS.steps // 10)


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_at_its_line(name: str) -> None:
    """The line is known: the reader's own checks met it, not the kernel's limits behind them."""
    error = attempt(T + BOMBS[name], isolated=True, limits=COUNTED)
    assert error.type in ("Refused", "RuntimeError", "OverflowError"), error
    assert error.lineno is not None and error.lineno > 4
    assert "seconds" not in error.message


def test_the_clock_ends_what_no_count_ends() -> None:
    endless = replace(LIMITS, steps=10**12, hard_seconds=60.0)
    error = attempt("while True: pass", isolated=True, limits=endless)
    assert error.message == f"more than {LIMITS.seconds} seconds of computing"


def test_the_kernel_ends_what_no_check_foresaw() -> None:
    """With the reader's own clock and memory checks off, the process is ended and the rest kept."""
    limits = replace(LIMITS, seconds=1e9, steps=10**12, hard_seconds=0.5)
    with pytest.raises(SnippetError) as caught:
        read_snippet("print(1)\nwhile True: pass", isolated=True, limits=limits)
    assert caught.value.type == "Refused" and caught.value.reading.printed == "1\n"
    blind = replace(LIMITS, live_bytes=10**12, tensor_elements=10**12, elements_in_sum=10**14)
    with pytest.raises(SnippetError) as caught:
        read_snippet("import torch\ntorch.ones(10**9)", isolated=True, limits=blind)
    assert caught.value.type == "Refused" and "memory" in caught.value.message


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(alphabet=st.sampled_from("abfx019 .,:;=+-*/()[]{}'\"#\n\t\\%@<>!_é“"), max_size=60))
def test_any_text_meets_only_the_readers_own_error(text: str) -> None:
    with suppress(SnippetError):
        read_snippet(text)


def _trees() -> st.SearchStrategy[str]:
    """Expressions and statements over the names and calls that texts use."""
    names = st.sampled_from(
        names_in("x y torch nn F np print len range m layer int str list dict zip super type")
    )
    atoms = st.one_of(
        names,
        st.integers(-3, 300).map(str),
        st.sampled_from(
            ["'a'", "None", "True", "1.5", "1j", "[]", "()", "{}", "...", "x.shape", "x.data", "-1",
             "torch.float64", "nn.Conv1d(1, 1, 1)", "torch.ones(1, 1, 3)", "nn.ConvTranspose1d(1, 1, 2)",
             "np.arange(4)", "F.conv_transpose1d", "nn.Module", "torch.Size([2])", "b'a'"]
        ),
    )  # fmt: skip
    methods = st.sampled_from(
        names_in(
            "view sum numpy item append format split size fill_ keys weight apply forward __class__ T "
            "reshape permute backward grad data tolist unsqueeze expand repeat"
        )
    )
    operators = st.sampled_from(names_in("+ - * / // % ** @ << >> & | == != < in is and or"))

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(inner, methods).map(lambda t: f"({t[0]}).{t[1]}"),
            st.tuples(inner, st.lists(inner, max_size=3)).map(
                lambda t: f"{t[0]}({', '.join(t[1])})"
            ),
            st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]"),
            st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}:]"),
            st.lists(inner, max_size=3).map(lambda t: f"[{', '.join(t)}]"),
            st.tuples(inner, inner).map(lambda t: f"[{t[0]} for y in {t[1]}]"),
            st.tuples(inner, inner).map(lambda t: f"{{{t[0]}: {t[1]}}}"),
            inner.map(lambda t: f"(lambda x: {t})"),
            inner.map(lambda t: f"f'{{{t}}}'" if "'" not in t else t),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        )

    expressions = st.recursive(atoms, larger, max_leaves=8)
    statements = st.one_of(
        expressions,
        st.tuples(names, expressions).map(lambda t: f"{t[0]} = {t[1]}"),
        st.tuples(names, expressions).map(lambda t: f"{t[0]} += {t[1]}"),
        st.tuples(expressions, expressions).map(lambda t: f"for y in {t[0]}: {t[1]}"),
        st.tuples(expressions, expressions).map(
            lambda t: f"try: {t[0]}\nexcept Exception as e: {t[1]}"
        ),
        st.tuples(names, expressions).map(lambda t: f"class {t[0]}(nn.Module):\n    a = {t[1]}"),
        st.tuples(names, expressions).map(lambda t: f"def {t[0]}(x): return {t[1]}"),
        st.tuples(expressions, expressions).map(lambda t: f"({t[0]}).a = {t[1]}"),
        st.tuples(expressions, expressions).map(lambda t: f"del ({t[0]})[{t[1]}]"),
        st.tuples(expressions, expressions).map(lambda t: f"with {t[0]}: {t[1]}"),
        expressions.map(lambda t: f"assert {t}"),
        expressions.map(lambda t: f"raise {t}"),
    )
    return st.lists(statements, min_size=1, max_size=6).map("\n".join)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(_trees())
def test_any_tree_meets_only_the_readers_own_error(text: str) -> None:
    """Whatever is put together, the reader answers, and its answer can be written as JSON."""
    quick = replace(LIMITS, steps=20_000, tensor_elements=100_000, seconds=1.0)
    try:
        answer: object = read_snippet(
            "import torch\nx = torch.ones(1, 1, 3)\n" + text, limits=quick
        )
    except SnippetError as error:
        answer = error
    json.dumps(answer.to_json())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000,
        "[" * 150 + "]" * 150,
        "-" * 5400 + "1",
        "not " * 4600 + "1",
        "lambda:" * 2000 + "1",
        "1 if 1 else " * 1600 + "1",
        "a" + ".b" * 5000,
        "f" + "()" * 5000,
        "1" + "+1" * 5000,
        "a = " * 3000 + "1",
        "if 1:\n" + "".join(" " * i + "if 1:\n" for i in range(1, 99)) + " " * 99 + "x",
        "x" * 20_001,
        "\ud800",
        "a = 1\x00",
        "'" * 3,
        "[1," * 6000,
        "\\" * 1000,
        "f'" + "{" * 100,
        "9" * 5000,
        "0x" + "f" * 15000,
    ],
    ids=lambda text: text[:12].encode("unicode_escape").decode() + str(len(text)),
)
def test_text_that_is_hard_to_parse(text: str) -> None:
    assert attempt(text).type in ("Refused", "SyntaxError", "NameError", "NothingToExplain")


def test_nothing_of_the_process_is_changed() -> None:
    """Seeds, printing and dtype of one text do not reach the next, nor the caller."""
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first = read_snippet(
        T + "torch.set_default_dtype(torch.float64)\ntorch.set_printoptions(precision=1)\n"
        "np.set_printoptions(precision=1)\ntorch.set_grad_enabled(False)\nnp.random.seed(1)\n"
        "print(F.conv_transpose1d(torch.ones(1, 1, 2), torch.ones(1, 1, 2)))"
    )
    assert "float64" in str(first.calls[0].x.dtype)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
    assert str(torch.tensor(1 / 3)) == "tensor(0.3333)"


def test_every_node_kind_is_judged() -> None:
    """A new Python brings new kinds of nodes: this fails until each is read or refused by name."""
    read = {kind.__name__ for kind in (*interpreter.STATEMENTS, *interpreter.EXPRESSIONS)}
    parts = set(  # read by the node they stand in, or never part of a parsed module
        names_in("""Module Expression Interactive FunctionType Load Store Del And Or Add Sub Mult MatMult Div
        Mod Pow LShift RShift BitOr BitXor BitAnd FloorDiv Invert Not UAdd USub Eq NotEq Lt LtE Gt
        GtE Is IsNot In NotIn comprehension ExceptHandler arguments arg keyword alias withitem
        match_case MatchValue MatchSingleton MatchSequence MatchMapping MatchClass MatchStar MatchAs
        MatchOr TypeIgnore FormattedValue Starred TypeVar ParamSpec TypeVarTuple
        AST mod stmt expr expr_context boolop operator unaryop cmpop excepthandler pattern
        type_ignore type_param Num Str Bytes NameConstant Ellipsis Index ExtSlice Suite AugLoad
        AugStore Param slice""")
    )
    kinds = {
        name
        for name, kind in vars(ast).items()
        if isinstance(kind, type) and issubclass(kind, ast.AST)
    }
    assert kinds - read - parts - set(interpreter.REFUSED) == set()


#: The rows of the table of limits in docs/snippets.md, each with the limits that it states.
LIMIT_ROWS = (
    ("source_chars",),
    ("nesting",),
    ("steps",),
    ("call_depth",),
    ("int_bits",),
    ("text_chars",),
    ("items", "items_in_sum"),
    ("tensor_elements", "elements_in_sum"),
    ("live_bytes",),
    ("macs",),
    ("parameter",),
    ("calls", "recorded_elements"),
    ("seconds", "hard_seconds"),
    ("hard_bytes",),
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
