# ruff: noqa: E501  the programs' lines are long
"""Random programs, run by Python and through the reader: the same prints, calls, lines, bits and errors."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.snippet.test_corpus import compared

START = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nimport functools, collections, dataclasses\ntorch.manual_seed(3)\nF.conv1d(torch.ones(1, 1, 1), torch.ones(1, 1, 1))\n"

#: Bodies of methods that a subclass of a torch layer may override. {d} is the number of dimensions.
OVERRIDES = {
    "reset_parameters": ["[nn.init.constant_(p, 0.5) for p in self.parameters()]", "super().reset_parameters()\nself.weight.data.mul_(2)",
                         "print('reset', type(self).__name__)\nsuper().reset_parameters()"],
    "_output_padding": ["print('op')\nreturn super()._output_padding(*args, **kwargs)", "return [0] * {d}"],
    "_conv_forward": ["return super()._conv_forward(*args, **kwargs) + 1"],
    "train": ["print('train', *args)\nreturn super().train(*args, **kwargs)"],
    "extra_repr": ["return 'own, ' + super().extra_repr()"],
    "forward": ["return super().forward(*args, **kwargs) * 2", "y = super().forward(*args, **kwargs)\nprint(tuple(y.shape))\nreturn y",
                "return super().forward(torch.relu(args[0]))"],
    "__call__": ["print('called')\nreturn super().__call__(*args, **kwargs)"],
    "__setattr__": ["if args[0] == 'extra':\n    args = (args[0], args[1] + 1)\nsuper().__setattr__(*args)"],
    "__getattr__": ["if args[0] == 'missing': return 41\nreturn super().__getattr__(*args)"],
    "__hash__": ["return 7"],
    "__eq__": ["return type(self) is type(args[0])"],
    "__len__": ["return 3"],
    "state_dict": ["d = super().state_dict(*args, **kwargs)\nreturn collections.OrderedDict(sorted(d.items()))"],
    "_save_to_state_dict": ["super()._save_to_state_dict(*args, **kwargs)\nargs[0]['more'] = torch.ones(1)"],
    "half": ["print('half')\nreturn self"],
}  # fmt: skip

#: Python's own classes, each with lines that print what they do.
OBJECTS = [
    "class A:\n    def who(self): return ['A']\nclass B(A):\n    def who(self): return ['B'] + super().who()\nclass C(A):\n    def who(self): return ['C'] + super().who()\nclass D(B, C):\n    def who(self): return ['D'] + super().who()\nprint(D().who(), [c.__name__ for c in D.__mro__])",
    "class P:\n    @property\n    def x(self): return self._x\n    @x.setter\n    def x(self, v): self._x = v * 2\np = P()\np.x = 3\nprint(p.x)",
    "@functools.total_ordering\nclass V:\n    def __init__(self, n): self.n = n\n    def __eq__(self, o): return self.n == o.n\n    def __lt__(self, o): return self.n < o.n\nprint(V(1) < V(2), V(2) >= V(1), sorted([3, 1, 2], key=V))",
    "class M(type):\n    def __new__(mcs, name, bases, d): return super().__new__(mcs, name, bases, {**d, 'tag': name.lower()})\nclass Tagged(metaclass=M): pass\nprint(Tagged.tag)",
    "@dataclasses.dataclass(order=True)\nclass Size:\n    h: int\n    w: int = 2\n    def __post_init__(self): self.area = self.h * self.w\nprint(Size(3), Size(1) < Size(2), Size(3).area, dataclasses.asdict(Size(3)))",
    "class G:\n    def __enter__(self): print('in'); return self\n    def __exit__(self, *a): print('out', a[0]); return True\nwith G() as g: 1 / 0",
    "def gen():\n    try:\n        x = yield 1\n        print('got', x)\n        yield from (i * i for i in range(3))\n    finally: print('end')\ng = gen()\nprint(next(g), g.send('s'), list(g))",
    "class Desc:\n    def __set_name__(self, o, n): self.n = n\n    def __get__(self, o, t): return (self.n, o is None)\nclass H: d = Desc()\nprint(H.d, H().d)",
    "try:\n    try: raise ValueError('a')\n    except ValueError as e: raise KeyError('b') from e\nexcept KeyError as e: print(repr(e), repr(e.__cause__))",
    "match (1, [2, 3], {'k': 4}):\n    case (a, [b, *rest], {'k': c}): print(a, b, rest, c)",
    "print(f'{3.14159:>10.2f}|{\"x\":^5}|{1234567:,}|{255:#x}', '%5.1e' % 12345.678, '{:+}'.format(5))",
    "import itertools\nprint(list(itertools.accumulate([1, 2, 3], lambda a, b: a * b)), *itertools.zip_longest('ab', 'c', fillvalue='-'))",
    "c = collections.Counter('abracadabra')\nprint(c.most_common(2), c['z'], collections.deque([1, 2, 3], maxlen=2))",
    "@functools.lru_cache(None)\ndef fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(fib(50), fib.cache_info())",
    "class E(Exception):\n    def __init__(self, n): super().__init__(f'code {n}'); self.n = n\ntry: raise E(3)\nexcept E as e: print(e, e.n, e.args)",
    "x = [y := 3, y ** 2]\nprint(x, (lambda *a, k=1, **kw: (a, k, kw))(1, 2, k=3, z=4))",
    "async def co(): return 5\nimport asyncio\nc = co()\ntry: c.send(None)\nexcept StopIteration as e: print(e.value)",
]  # fmt: skip

#: What is done with a layer called up on an input called x.
USES = [
    "print(up(x).shape)", "print(up)", "up.extra = 4\nprint(up.extra)", "print(up.missing)", "up.eval()", "up.train()",
    "print(hash(up) == hash(up), up == up)", "print(list(up.state_dict()))", "y = up(x)\ny.sum().backward()\nprint(x.grad.sum())",
    "up.register_forward_hook(lambda m, i, o: o * 2)\nprint(up(x).sum())", "print(nn.Sequential(up, nn.ReLU())(x).sum())",
    "with torch.no_grad(): print(up(x).requires_grad)", "print(sum(p.numel() for p in up.parameters()))", "import copy\nprint(copy.deepcopy(up)(x).sum())",
    "print(up(x[0]).shape)", "print(up(x, output_size=[9] * {d}).shape)", "up.weight = nn.Parameter(torch.ones_like(up.weight))\nprint(up(x).sum())",
    "opt = torch.optim.SGD(up.parameters(), 0.1)\nup(x).mean().backward()\nopt.step()\nprint(up.weight.sum())", "print(up(x.double()))",
    "up.apply(lambda m: print(type(m).__name__))", "print([n for n, _ in up.named_parameters()])", "up = up.half()\nprint(up.weight.dtype)",
    "print(bool(up))", "nn.utils.parametrizations.weight_norm(up)\nprint(up(x).shape)",
    "print(F.conv_transpose{d}d(x, up.weight, groups=up.groups).shape)", "print(getattr(up, 'stride'), up.kernel_size, isinstance(up, nn.Module))",
    "for i, one in enumerate([up] * 2):\n    print(i, one(x).mean() > 0)", "def run(m, n=2):\n    return m(x) if n == 0 else run(m, n - 1)\nprint(run(up).shape)",
    "try:\n    up(torch.ones(1))\nexcept Exception as error:\n    print(type(error).__name__)", "assert up(x).dim() == {d} + 2, 'shape'", "raise RuntimeError('at the end')",
]  # fmt: skip


def _method(name: str, body: str) -> str:
    lines = "".join(f"        {line}\n" for line in body.split("\n"))
    return f"    def {name}(self, *args, **kwargs):\n{lines}"


@st.composite
def layers(draw: st.DrawFn) -> str:
    """A hierarchy of subclasses of a torch layer, made, used in several ways."""
    dims, kind = (
        draw(st.integers(1, 2)),
        draw(st.sampled_from(["ConvTranspose", "ConvTranspose", "Conv"])),
    )
    text = ""
    names = [f"nn.{kind}{dims}d"]
    for number in range(draw(st.integers(0, 3))):
        base = draw(st.sampled_from(names))
        chosen = draw(st.lists(st.sampled_from(list(OVERRIDES)), max_size=3, unique=True))
        body = "".join(_method(name, draw(st.sampled_from(OVERRIDES[name]))) for name in chosen)
        text += f"class Up{number}({base}):\n{body or '    pass' + chr(10)}"
        names.append(f"Up{number}")
    groups = draw(st.integers(1, 2))
    text += f"up = {names[-1]}(2, 2, {draw(st.integers(1, 3))}, stride={draw(st.integers(1, 2))}, groups={groups})\n"
    text += f"x = torch.arange({2 * 4**dims}.).reshape(1, 2{', 4' * dims}).requires_grad_()\n"
    uses = draw(st.lists(st.sampled_from(USES), min_size=1, max_size=4))
    return (text + "\n".join(uses) + "\n").replace("{d}", str(dims))


programs = st.tuples(st.lists(st.sampled_from(OBJECTS), max_size=2), layers()).map(
    lambda parts: START + "\n".join([*parts[0], parts[1]])
)


@settings(suppress_health_check=list(HealthCheck))
@given(programs)
def test_a_random_program_reads_as_it_runs(text: str) -> None:
    assert compared(text, text) == ""


def test_every_line_of_python_reads_as_it_runs() -> None:
    for text in OBJECTS:
        assert compared(f"{START}{text}\n", f"{START}{text}\n") == "", text
