"""Choosing a layer: which settings make which size."""
