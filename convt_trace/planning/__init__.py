"""Planning a layer: where its multiply-accumulates pile up, and what to take instead."""
