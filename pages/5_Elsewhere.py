"""The page about other frameworks: the same layer in Keras, JAX, flax and ONNX, and back."""

from __future__ import annotations

from convt_trace.app import elsewhere

elsewhere.page()
