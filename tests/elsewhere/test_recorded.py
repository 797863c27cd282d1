"""What the real frameworks computed, as `make parity` recorded it, against our formulas and programs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import parity
from convt_trace.elsewhere.facts import FACTS

RECORDED = json.loads(parity.RECORDED.read_text())
FRAMEWORKS = RECORDED["frameworks"]
#: The package whose version a fact has, by the framework that it is about.
PACKAGES = {
    "Keras": "keras",
    "JAX": "jax",
    "flax": "flax",
    "onnxruntime": "onnxruntime",
    "ONNX": "onnx",
}


def output(written: dict | None) -> np.ndarray | None:
    return written and np.array(written["numbers"]).reshape(written["shape"])


@pytest.mark.parametrize("framework", parity.COUNTS)
def test_our_formulas_give_what_the_framework_gave(framework: str) -> None:
    settings = FRAMEWORKS[framework]["settings"]
    assert len(settings) == parity.RECORDED_EACH
    for made in settings:
        assert parity.same(parity.ours(framework, made), output(made["output"])), made


@pytest.mark.parametrize("framework", [name for name, (_, many) in parity.COUNTS.items() if many])
def test_a_program_is_the_one_that_the_framework_ran(framework: str) -> None:
    programs = FRAMEWORKS[framework]["programs"]
    assert len(programs) == parity.RECORDED_EACH
    for made in programs:
        there = parity.program(framework, made)
        assert parity.digest(there.code) == made["code"], f"run make parity: {there.code}"
        assert parity.same(there.case.trace().output.astype(int), output(made["output"])), made


def test_settings_of_every_kind_were_recorded() -> None:
    for framework, recorded in FRAMEWORKS.items():
        settings = recorded["settings"]
        assert {len(made["strides"]) for made in settings} == {1, 2, 3}, framework
        assert any(made["output"] is None for made in settings), framework
        assert sum(made["output"] is not None for made in settings) > 30, framework


def test_nothing_was_different_when_it_was_recorded() -> None:
    compared = 0
    for framework, recorded in FRAMEWORKS.items():
        assert not [name for name in recorded["told"] if name.endswith("DIFFERENT")], framework
        compared += sum(recorded["told"].values())
    assert compared > 5000


def test_every_fact_was_seen_in_the_version_that_it_names() -> None:
    seen: dict[str, list[bool]] = {}
    for recorded in FRAMEWORKS.values():
        for key, so in recorded["facts"].items():
            seen.setdefault(key, []).append(so)
    assert {fact.key for fact in FACTS} == set(seen)
    assert all(map(all, seen.values()))
    for fact in FACTS:
        assert fact.version == RECORDED["versions"][PACKAGES[fact.framework]], fact.key


def test_the_versions_are_the_ones_that_are_installed_for_it() -> None:
    pins = (parity.ROOT / "requirements-parity.txt").read_text()
    assert (
        dict(re.findall(r"^([\w-]+)==(.+)$", pins, re.MULTILINE)).items()
        >= RECORDED["versions"].items()
    )


def test_the_file_is_small() -> None:
    assert parity.RECORDED.stat().st_size < 1_000_000
