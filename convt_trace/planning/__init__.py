"""Choosing a layer: which settings make which size, and where multiply-accumulates pile up."""
