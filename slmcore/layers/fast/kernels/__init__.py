"""Triton kernels of the fast paths. Imported late: Triton comes with torch for CUDA, and not everywhere."""
