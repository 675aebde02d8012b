"""DPDP: smooth discrete units of speech, at the cost of nearest-code quantisation.

Given features x_1..x_T and codes c_1..c_K, DPDP chooses units that minimise
sum_t |x_t - c_{u_t}|^2 - lambda * #{t > 1: u_t = u_{t-1}} (Kamper, arXiv 2202.11929); the optimum is exact.

- `DPDPQuantizer`: a codebook and a lambda as a module. `quantizer(features)` is the published call;
  `quantizer.segment(...)` takes batches and returns `Units` with durations. The default choice.
- `dpwfst`: the same for code written for the published `dp-wfst`.
- `sweep`: several lambdas on the same features, for little more than the price of one.
- `fit_lmbda`: lambda for a target number of units, or bits, per second.
- `OnlineDPDP`: streams of features.
- `naive`, `objective`: the recursion as the paper has it and the value of a result, to check against.

On a CPU the loop over frames is compiled by numba where it is installed (`pip install slmzoo[fast]`); without, it runs
as torch calls, with the same result, an order of magnitude slower. So do the first 1,000 frames of a process, in less
time than numba takes to load. On CUDA it is a Triton kernel.
"""

from __future__ import annotations

from dpdp.lmbda import bits_per_second, fit_lmbda, sweep
from dpdp.naive import naive, objective
from dpdp.online import OnlineDPDP
from dpdp.quantizer import DPDPQuantizer
from dpdp.wfst import dpwfst

__all__ = ["DPDPQuantizer", "OnlineDPDP", "bits_per_second", "dpwfst", "fit_lmbda", "naive", "objective", "sweep"]
