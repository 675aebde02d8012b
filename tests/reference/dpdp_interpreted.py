"""Run the Triton kernels on given problems and write what they find: `python -m ... PROBLEMS FOUND [DEVICE]`.

A process of its own, since Triton decides at import whether its interpreter runs.
"""

from __future__ import annotations

import sys

import torch

from dpdp.blocks import blocks
from dpdp.kernel import GpuSearch


def main(problems_file: str, found_file: str, device: str = "cpu") -> None:
    torch.use_deterministic_algorithms(True)  # fills what is uninitialised with NaN and huge integers
    found = []
    for problem in torch.load(problems_file, weights_only=True):
        costs, lengths = problem["costs"].to(device), problem["lengths"]
        run = GpuSearch(costs.shape[1], problem["lmbdas"], lengths, costs.device)
        first = 0
        for block in blocks(lengths, problem["size"]):
            part = costs[first : first + sum(len(piece) for piece in block)].clone()
            first += len(part)
            if problem["n"] < costs.shape[1]:
                run.limit(part, problem["n"])
            run.advance(part, block)
        found.append(run.units().cpu())
    torch.save(found, found_file)


if __name__ == "__main__":
    main(*sys.argv[1:])
