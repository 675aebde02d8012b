"""Computations made for GPUs, behind one switch, each beside the plain function that it must equal."""
