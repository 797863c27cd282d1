"""Holds `convt_trace/elsewhere/` against the real frameworks, and records what they computed.

    make parity                                     # all of them; writes tests/elsewhere/recorded.json
    .parity/bin/python scripts/parity.py flax 50    # one, 50 settings, nothing written

Two things are compared, number by number: a framework's own setting with our formula for it, and a
translated program's output with PyTorch's. `make test` checks the recorded ones without the frameworks.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import json
import os
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from convt_trace import Case
from convt_trace.elsewhere import conventions, layouts, port, translate
from convt_trace.elsewhere.errors import RefusedError
from convt_trace.elsewhere.ported import Ported
from convt_trace.elsewhere.translation import Translation

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "tests" / "elsewhere" / "recorded.json"

#: How many settings and how many programs are compared, by who computes them.
COUNTS = {
    "keras-jax": (500, 150),
    "keras-tensorflow": (600, 150),
    "keras-torch": (600, 150),
    "jax": (500, 150),
    "general": (400, 150),
    "flax": (500, 150),
    "reference": (600, 0),
    "onnxruntime": (1500, 300),
}
#: Of these, how many of each are recorded, and the largest output that is.
RECORDED_EACH, RECORDED_NUMBERS = 60, 120
PACKAGES = ("flax", "jax", "keras", "onnx", "onnxruntime", "tensorflow-cpu", "torch")
DTYPES = ("float32", "float32", "float64", "int64", "int8", "float16", "bfloat16")

Setting = dict[str, Any]


# -- settings, and what our formulas make of them ---------------------------------------------------


def numbers(shape: list[int], step: int) -> np.ndarray:
    """Small whole numbers that need not be recorded."""
    return ((np.arange(prod(shape)) * step + 3) % 7 - 3).reshape(shape)


def setting(framework: str, random: Random) -> Setting:
    dims = random.choice([1, 1, 1, 2, 2, 3])
    longest = {1: 5, 2: 4, 3: 3}[dims]

    def each(low: int, high: int) -> list[int]:
        return [random.randint(low, high) for _ in range(dims)]

    grouped = framework in ("general", "onnxruntime")
    strides, dilation = each(1, 4), each(1, 3)
    if framework.startswith("keras"):
        which = random.random()
        strides, dilation = (
            ([1] * dims if which < 0.3 else strides),
            ([1] * dims if which > 0.3 else dilation),
        )
    made: Setting = {
        "input_size": each(1, longest),
        "kernel_size": each(1, 4),
        "strides": strides,
        "dilation": dilation,
        "groups": random.choice([1, 1, 2]) if grouped else 1,
        "channels": [random.randint(1, 2), random.randint(1, 2)],
    }
    made["parameters"] = _PARAMETERS[framework.partition("-")[0]](random, made)
    return made


def _keras(random: Random, made: Setting) -> Setting:
    extra = [random.randint(0, s - 1) for s in made["strides"]]
    return {
        "padding": random.choice(["same", "valid"]),
        "output_padding": random.choice([None, extra]),
    }


def _pairs(random: Random, made: Setting) -> list[list[int]]:
    return [[random.randint(-2, 4), random.randint(-2, 4)] for _ in made["strides"]]


def _jax(random: Random, made: Setting) -> Setting:
    pads = _pairs(random, made)
    return {
        "padding": random.choice(["SAME", "VALID", pads, pads]),
        "transpose_kernel": random.random() < 0.5,
        "use_consistent_padding": random.random() < 0.2,
    }


def _general(random: Random, made: Setting) -> Setting:
    return {"padding": _pairs(random, made)}


def _flax(random: Random, made: Setting) -> Setting:
    each = [random.randint(0, 3) for _ in made["strides"]]
    pads = _pairs(random, made)
    return {
        "padding": random.choice(["SAME", "VALID", "CIRCULAR", "CIRCULAR", 1, each, pads]),
        "transpose_kernel": random.random() < 0.5,
    }


def _onnx(random: Random, made: Setting) -> Setting:
    dims = len(made["strides"])
    given: Setting = {
        "auto_pad": random.choice(["NOTSET"] * 3 + ["SAME_UPPER", "SAME_LOWER", "VALID"])
    }
    if given["auto_pad"] == "NOTSET" and random.random() < 0.6:
        given["pads"] = [random.randint(0, 3) for _ in range(2 * dims)]
    if random.random() < 0.4:
        limits = map(max, made["strides"], made["dilation"])
        given["output_padding"] = [random.randint(0, limit - 1) for limit in limits]
    if random.random() < 0.3:
        given["output_shape"] = [random.randint(1, 12) for _ in range(dims)]
    return given


def _reference(random: Random, made: Setting) -> Setting:
    """As ONNX', without what the evaluator puts out of place: see the fact "reference product"."""
    given = _onnx(random, made)
    if len(made["strides"]) > 1 and not given["auto_pad"].startswith("SAME"):
        given.pop("output_shape", None)
    return given


_PARAMETERS: dict[str, Callable[[Random, Setting], Setting]] = {
    "keras": _keras, "jax": _jax, "general": _general, "flax": _flax,
    "reference": _reference, "onnxruntime": _onnx,
}  # fmt: skip


def tensors(made: Setting) -> tuple[np.ndarray, np.ndarray]:
    """A setting's x and weight, in PyTorch's layout."""
    ins, outs = made["channels"]
    return (
        numbers([1, ins * made["groups"], *made["input_size"]], 5),
        numbers([ins * made["groups"], outs, *made["kernel_size"]], 3),
    )


def read(framework: str, made: Setting) -> Ported:
    """A setting as our formulas read it."""
    ins, outs = (count * made["groups"] for count in made["channels"])
    size, kernel, given = made["input_size"], made["kernel_size"], made["parameters"]
    strides, dilation = made["strides"], made["dilation"]
    if framework.startswith("keras"):
        return port.from_keras(
            outs, kernel, strides, dilation_rate=dilation, input_size=size, in_channels=ins,
            backend=framework.removeprefix("keras-"), **given,
        )  # fmt: skip
    if framework == "flax":
        return port.from_flax(
            outs,
            kernel,
            strides,
            kernel_dilation=dilation,
            input_size=size,
            in_channels=ins,
            **given,
        )
    both: Setting = {"input_size": size, "in_channels": ins, "out_channels": outs, **given}
    if framework == "jax":
        return port.from_jax(kernel, strides, rhs_dilation=dilation, **both)
    if framework == "general":
        return port.from_lax_general(
            kernel, lhs_dilation=strides, rhs_dilation=dilation,
            feature_group_count=made["groups"], **both,
        )  # fmt: skip
    return port.from_onnx(
        kernel, strides=strides, dilations=dilation, group=made["groups"], runtime=framework, **both
    )


def ours(framework: str, made: Setting) -> np.ndarray | None:
    """Our formula's output, or None where it refuses the setting."""
    try:
        return read(framework, made).output(*tensors(made))
    except RefusedError:
        return None


# -- programs ---------------------------------------------------------------------------------------


def program_case(random: Random) -> Setting:
    """The parameters of a case that PyTorch takes."""
    dims = random.choice([1, 1, 2, 2, 3])
    longest = {1: 5, 2: 3, 3: 2}[dims]
    made: Setting = {"input_size": [], "kernel_size": []}
    names = ("stride", "padding", "output_padding", "dilation")
    made.update({name: [] for name in names})
    for _ in range(dims):
        length, taps, stride, dilation = (random.randint(1, most) for most in (longest, 4, 3, 3))
        dilation = 1 if random.random() < 0.4 else dilation
        extra = random.randint(0, max(stride, dilation) - 1)
        canvas = (length - 1) * stride + dilation * (taps - 1) + 1
        padding = random.randint(0, (canvas + extra - 1) // 2)
        for name, value in zip(made, (length, taps, stride, padding, extra, dilation)):
            made[name].append(value)
    made["groups"] = random.choice([1, 1, 2])
    made["channels"] = [random.randint(1, 2), random.randint(1, 2)]
    made["dtype"] = random.choice(DTYPES)
    made["bias"] = random.random() < 0.5
    made["batch"] = random.random() < 0.8
    made["transpose_kernel"] = random.random() < 0.5
    return made


def case_of(made: Setting) -> Case:
    import ml_dtypes

    dtype = ml_dtypes.bfloat16 if made["dtype"] == "bfloat16" else made["dtype"]
    x, weight = tensors(made)
    bias = numbers([weight.shape[1] * made["groups"]], 2) if made["bias"] else None
    return Case.of(
        (x if made["batch"] else x[0]).astype(dtype),
        weight.astype(dtype),
        None if bias is None else bias.astype(dtype),
        **{
            name: made[name]
            for name in ("stride", "padding", "output_padding", "dilation", "groups")
        },
    )


def program(framework: str, made: Setting) -> Translation:
    case = case_of(made)
    if framework.startswith("keras"):
        return translate.to_keras(case)
    if framework in ("jax", "flax"):
        there = {"jax": translate.to_jax, "flax": translate.to_flax}[framework]
        return there(case, transpose_kernel=made["transpose_kernel"])
    return {"general": translate.to_lax_general, "onnxruntime": translate.to_onnx}[framework](case)


def digest(code: str) -> str:
    return hashlib.blake2b(code.encode(), digest_size=8).hexdigest()


# -- the real ones ----------------------------------------------------------------------------------


def real(framework: str, made: Setting) -> np.ndarray | None:
    """What the framework itself computes, channels first, or None where it refuses or has nothing."""
    x, weight = (tensor.astype(np.float32) for tensor in tensors(made))
    try:
        output = _REAL[framework.partition("-")[0]](framework, made, x, weight)
    except Exception:
        return None
    return output if output.size else None


def _last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1)


def _first(y: Any) -> np.ndarray:
    return np.moveaxis(np.asarray(y), -1, 1)


def _real_keras(framework: str, made: Setting, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    import keras

    layer = getattr(keras.layers, f"Conv{x.ndim - 2}DTranspose")(
        weight.shape[1], made["kernel_size"], made["strides"],
        dilation_rate=made["dilation"], use_bias=False, **made["parameters"],
    )  # fmt: skip
    layer.build((None, *x.shape[2:], x.shape[1]))
    layer.set_weights([layouts.keras_kernel(weight)])
    return _first(keras.ops.convert_to_numpy(layer(_last(x))))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _real_jax(framework: str, made: Setting, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    import jax.numpy as jnp
    from jax import lax

    given = {name: _tuples(value) for name, value in made["parameters"].items()}
    kernel = layouts.jax_kernel(weight, given["transpose_kernel"])
    strides, dilation = _tuples(made["strides"]), _tuples(made["dilation"])
    return _first(
        lax.conv_transpose(
            jnp.asarray(_last(x)), jnp.asarray(kernel), strides, rhs_dilation=dilation, **given
        )
    )


def _real_general(framework: str, made: Setting, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    import jax.numpy as jnp
    from jax import lax

    kernel = layouts.general_kernel(weight, made["groups"])
    return np.asarray(
        lax.conv_general_dilated(
            jnp.asarray(x), jnp.asarray(kernel), (1,) * (x.ndim - 2),
            _tuples(made["parameters"]["padding"]), lhs_dilation=_tuples(made["strides"]),
            rhs_dilation=_tuples(made["dilation"]), feature_group_count=made["groups"],
        )
    )  # fmt: skip


def _real_flax(framework: str, made: Setting, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    from flax import linen

    given = {name: _tuples(value) for name, value in made["parameters"].items()}
    layer = linen.ConvTranspose(
        weight.shape[1], _tuples(made["kernel_size"]), _tuples(made["strides"]),
        kernel_dilation=_tuples(made["dilation"]), use_bias=False, **given,
    )  # fmt: skip
    kernel = layouts.jax_kernel(weight, given["transpose_kernel"])
    return _first(layer.apply({"params": {"kernel": kernel}}, _last(x)))


def _real_onnx(framework: str, made: Setting, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return run_onnx(
        framework,
        {"X": x, "W": weight},
        strides=made["strides"],
        dilations=made["dilation"],
        group=made["groups"],
        **made["parameters"],
    )


def run_onnx(runtime: str, feeds: dict[str, np.ndarray], **attributes: Any) -> np.ndarray:
    """Run one ConvTranspose node, in onnxruntime or in ONNX' reference evaluator."""
    from onnx import TensorProto, helper

    node = helper.make_node("ConvTranspose", [*feeds], ["Y"], **attributes)
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, v.shape) for n, v in feeds.items()],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)],
    )
    opset = [helper.make_opsetid("", 11)]
    return run_model(runtime, helper.make_model(graph, opset_imports=opset, ir_version=10), feeds)


def run_model(runtime: str, model: Any, feeds: dict[str, np.ndarray]) -> np.ndarray:
    if runtime == "reference":
        from onnx.reference import ReferenceEvaluator

        found: Any = ReferenceEvaluator(model).run(None, feeds)
        return found[0]
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it refuses is told by its exception
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, feeds)[0]


_REAL: dict[str, Callable[[str, Setting, np.ndarray, np.ndarray], np.ndarray]] = {
    "keras": _real_keras, "jax": _real_jax, "general": _real_general, "flax": _real_flax,
    "reference": _real_onnx, "onnxruntime": _real_onnx,
}  # fmt: skip


# -- facts: what `convt_trace/elsewhere/facts.py` says ------------------------------------------------


def _fails(run: Callable[[], Any]) -> bool:
    try:
        run()
    except Exception:
        return True
    return False


def keras_facts(backend: str) -> dict[str, bool]:
    import inspect

    import keras
    from keras import layers

    def size(dtype: str = "float32", kernel: int = 4, **given: Any) -> list[int]:
        layer = layers.Conv1DTranspose(1, kernel, dtype=dtype, **given)
        return [*layer(np.ones((1, 3, 1), dtype)).shape]

    def order(dims: int) -> bool:
        names = [*inspect.signature(getattr(layers, f"Conv{dims}DTranspose").__init__).parameters]
        return names.index("output_padding") < names.index("data_format")

    even: Setting = {"strides": 2, "padding": "same", "output_padding": 0}
    dilated: Setting = {"kernel": 3, "dilation_rate": 2}
    on_tensorflow = backend == "tensorflow"
    backends = _fails(lambda: size(**even)) if on_tensorflow else size(**even) == [1, 4, 1]
    # The environment is read when TensorFlow starts, so this one starts alone.
    alone = "import keras, numpy; x = numpy.ones((1, 3, 1), 'float32')"
    alone += "; keras.layers.Conv1DTranspose(1, 3, dilation_rate=2)(x)"
    plain = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    without = subprocess.run([sys.executable, "-c", alone], env=plain, capture_output=True)
    double = _fails(lambda: size("float64", **dilated)) == on_tensorflow
    said = " ".join((layers.Conv1DTranspose.__doc__ or "").split())
    return {
        "keras backends": backends,
        "keras dilation": double
        and bool(without.returncode) == on_tensorflow
        and size(**dilated) == [1, 7, 1],
        "keras positions": [order(dims) for dims in (1, 2, 3)] == [True, True, False],
        "keras same": "has the same height/width dimension as the input" in said
        and size(strides=2, padding="same") == [1, 6, 1],
        "keras output_padding": size(kernel=3, strides=3, padding="same", output_padding=1)
        == [1, 2 * 3 + 1 + 1, 1]
        and keras.backend.backend() == backend,
    }


def jax_facts() -> dict[str, bool]:
    import jax.numpy as jnp
    from jax import lax

    x, w = jnp.ones((1, 3, 1)), jnp.arange(3.0).reshape(3, 1, 1)

    def length(padding: Any, **given: Any) -> int:
        return lax.conv_transpose(x, w, (2,), padding, **given).shape[1]

    def first(**given: Any) -> float:
        return float(lax.conv_transpose(x, w, (3,), "VALID", **given)[0, 0, 0])

    def general(padding: Any) -> Any:
        numbers = ("NHC", "HIO", "NHC")
        return lax.conv_general_dilated(x, w, (1,), padding, (2,), dimension_numbers=numbers)

    consistent: Setting = {"use_consistent_padding": True}
    return {
        "jax pads": length([(0, 0)]) < length([(1, 1)]) < length([(2, 2)])
        and length([(0, 0)], **consistent) > length([(1, 1)], **consistent),
        "jax pairs": _fails(lambda: length([[1, 1]], **consistent)) and length([[1, 1]]) == 5,
        "jax kernel": (first(), first(transpose_kernel=True)) == (2.0, 0.0),
        "jax general": _fails(lambda: general("SAME")) and not _fails(lambda: general([(1, 1)])),
        "jax 64": (jnp.zeros(1, "float64").dtype, jnp.zeros(1, "int64").dtype)
        == (jnp.float32, jnp.int32),
    }


def flax_facts() -> dict[str, bool]:
    import jax
    import jax.numpy as jnp
    from flax import linen

    def output(kernel: Any, padding: Any, x: Any, **given: Any) -> Any:
        layer = linen.ConvTranspose(1, kernel, strides=2, padding=padding, **given)
        return layer.init_with_output(jax.random.key(0), x)[0]

    line = jnp.ones((1, 3, 1))
    axis = conventions.CanvasAxis(3, 4, stride=2)
    moved = [conventions.flax_window(axis, "CIRCULAR", flag).before for flag in (False, True)]
    odd = [
        conventions.flax_window(replace(axis, taps=3), "CIRCULAR", flag).before
        for flag in (False, True)
    ]
    return {
        "flax kernel_size": output(3, "SAME", jnp.ones((1, 3, 3, 1))).shape == (1, 3, 6, 1),
        "flax names": _fails(lambda: output((3,), "same", line)),
        # That the windows are flax' own is what the compared settings show.
        "flax circular": moved[0] == moved[1] and odd[1] - odd[0] == 1,
    }


def onnx_facts() -> dict[str, bool]:
    """What onnxruntime and the reference evaluator do; `make test` has both and asks them too."""
    x, w = np.array([[[1, 2, 3]]], np.float32), np.array([[[1, 10]]], np.float32)

    def y(runtime: str, x: np.ndarray = x, w: np.ndarray = w, **given: Any) -> list[int]:
        return run_onnx(runtime, {"X": x, "W": w}, **given).ravel().astype(int).tolist()

    def refuses(runtime: str, **given: Any) -> bool:
        return _fails(lambda: y(runtime, **given))

    ort, reference = "onnxruntime", "reference"
    same: Setting = {"strides": [4], "auto_pad": "SAME_LOWER"}
    canvas = [1, 10, 0, 0, 2, 20, 0, 0, 3, 30]
    smaller: Setting = {"output_shape": [3]}
    flat, one = np.array([[[[5, 7]]]], np.float32), np.ones((1, 1, 1, 1), np.float32)
    tall: Setting = {"x": flat, "w": one, "strides": [1, 2], "output_shape": [2, 1]}
    two, two_out = np.ones((1, 4, 3), np.float32), np.ones((4, 1, 2), np.float32)
    return {
        "ort same": y(ort, **same) == canvas and y(reference, **same) == [0, *canvas, 0],
        "ort output_padding": refuses(ort, dilations=[3], output_padding=[2]),
        "ort float64": _fails(lambda: run_float64(x, w)),
        "ort large": y(ort, strides=[4], output_shape=[12]) == [*canvas, 0, 0]
        and y(reference, strides=[4], auto_pad="SAME_LOWER", output_shape=[12]) == [0, *canvas, 0],
        "reference output_shape": refuses(reference, **smaller)
        and y(ort, **smaller) == [12, 23, 30],
        "reference product": y(reference, **tall) == [5, 7] and refuses(ort, **tall),
        "reference group": refuses(reference, x=two, w=two_out, group=2)
        and not refuses(ort, x=two, w=two_out, group=2),
    }


def run_float64(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    from onnx import TensorProto, helper

    names = [helper.make_tensor_value_info(n, TensorProto.DOUBLE, None) for n in ("X", "W", "Y")]
    node = helper.make_node("ConvTranspose", ["X", "W"], ["Y"])
    graph = helper.make_graph([node], "layer", names[:2], names[2:])
    opset = [helper.make_opsetid("", 11)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=10)
    return run_model("onnxruntime", model, {"X": x.astype(float), "W": w.astype(float)})


def facts(framework: str) -> dict[str, bool]:
    """Which of the facts about a framework are still so."""
    if framework.startswith("keras"):
        return keras_facts(framework.removeprefix("keras-"))
    found = {"jax": jax_facts, "flax": flax_facts, "onnxruntime": onnx_facts}
    return found[framework]() if framework in found else {}


# -- comparing and recording ------------------------------------------------------------------------


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool((one == other).all())


def written(output: np.ndarray | None) -> Any:
    if output is None:
        return None
    return {"shape": [*output.shape], "numbers": output.astype(int).ravel().tolist()}


def compare_settings(framework: str, count: int) -> tuple[list[Setting], Counter[str]]:
    random, kept, told = Random(f"settings of {framework}"), [], Counter[str]()
    for _ in range(count):
        made = setting(framework, random)
        theirs, mine = real(framework, made), ours(framework, made)
        verdict = "equal" if same(theirs, mine) else "DIFFERENT"
        told[f"settings {'refused by both' if theirs is mine is None else verdict}"] += 1
        if verdict == "DIFFERENT":
            print(f"{framework}: {made}\n  theirs {written(theirs)}\n  ours   {written(mine)}")
        if theirs is None or theirs.size <= RECORDED_NUMBERS:
            kept.append({**made, "output": written(theirs)})
    return kept[:RECORDED_EACH], told


def run(code: str) -> np.ndarray:
    """Run a program and return its output; alone, where it sets what has to be set before JAX starts."""
    if "os.environ" not in code:
        names: dict[str, Any] = {}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, names)
        return np.asarray(names["y"])
    ending = "import sys; np.save(sys.stdout.buffer, y)"
    code = code.removesuffix("print(y)") + ending
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    return np.load(io.BytesIO(alone.stdout))


def compare_programs(framework: str, count: int) -> tuple[list[Setting], Counter[str]]:
    random, kept, told = Random("programs"), [], Counter[str]()
    for _ in range(count):
        made = program_case(random)
        there = program(framework, made)
        expected = there.case.trace().output
        try:
            y = run(there.code)
            fine = same(y, expected) and y.dtype == expected.dtype
            said = written(y) if y.dtype.kind in "iuf" else str(y.dtype)
        except Exception as error:
            fine, said = False, f"{type(error).__name__}: {error}"
        told[f"programs {'equal' if fine else 'DIFFERENT'}"] += 1
        if not fine:
            print(f"{framework}: {made}\n{there.code}\n  theirs {said}\n  ours {written(expected)}")
        elif expected.size <= RECORDED_NUMBERS:
            kept.append({**made, "code": digest(there.code), "output": written(expected)})
    return kept[:RECORDED_EACH], told


def compare(framework: str, counts: tuple[int, int]) -> Setting:
    warnings.simplefilter("ignore")
    if framework.startswith("keras"):
        os.environ["KERAS_BACKEND"] = framework.removeprefix("keras-")
    seen = facts(framework)  # first, because programs switch JAX to 64 bits
    settings, told = compare_settings(framework, counts[0])
    programs, more = compare_programs(framework, counts[1])
    told += more
    for key in (key for key, so in seen.items() if not so):
        print(f"{framework}: no longer so: {key}")
    told["facts DIFFERENT"] = sum(not so for so in seen.values())
    told = +told
    print(f"{framework}: {', '.join(f'{count} {name}' for name, count in sorted(told.items()))}")
    return {"told": dict(told), "facts": seen, "settings": settings, "programs": programs}


@cache
def versions() -> dict[str, str]:
    """The frameworks' versions, without what says for which hardware they were built."""
    return {name: importlib.metadata.version(name).partition("+")[0] for name in PACKAGES}


def everything() -> int:
    """Compare with every framework, each in a process of its own, and write what they computed."""
    recorded: Setting = {"versions": versions(), "frameworks": {}}
    for framework in COUNTS:
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        out = RECORDED.with_name(f".{framework}.json")
        run = subprocess.run([sys.executable, __file__, framework, "--into", str(out)], env=quiet)
        if run.returncode:
            return run.returncode
        recorded["frameworks"][framework] = json.loads(out.read_text())
        out.unlink()
    lines = json.dumps(recorded, separators=(",", ":")).replace('{"input_size"', '\n{"input_size"')
    RECORDED.write_text(lines + "\n")
    different = [
        name for name, one in recorded["frameworks"].items() if any(map(_bad, one["told"]))
    ]
    print(f"Different: {', '.join(different)}" if different else f"Equal. Written: {RECORDED}")
    return 1 if different else 0


def _bad(told: str) -> bool:
    return told.endswith("DIFFERENT")


def main(arguments: list[str]) -> int:
    if not arguments:
        return everything()
    framework, *rest = arguments
    if rest[:1] == ["--into"]:
        Path(rest[1]).write_text(json.dumps(compare(framework, COUNTS[framework])))
        return 0
    counts = COUNTS[framework]
    if rest:
        counts = (int(rest[0]), min(counts[1], int(rest[0])))
    return 1 if any(map(_bad, compare(framework, counts)["told"])) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
