"""A layer as numbers: its geometry, its MACs one by one, and torch's result beside them."""
