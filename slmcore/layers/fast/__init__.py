"""Computations for GPUs behind one switch, each with its reference implementation in plain torch."""
