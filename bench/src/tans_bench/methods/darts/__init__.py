"""Differentiable search of cells: two methods over one supernet and one bilevel loop."""
