"""The same layer elsewhere: what Keras, JAX, flax and ONNX call it, how they differ, and the way back."""
