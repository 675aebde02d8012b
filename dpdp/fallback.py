"""Loops over frames as torch calls, for a CPU without numba; each loop is documented here."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["advance", "backtrack", "limit"]


def advance(costs: Tensor, lmbda: float, lead: Tensor, start: Tensor, first: int, best: Tensor, since: Tensor) -> None:
    """Run V_t(k) = cost_t(k) + min(V_{t-1}(k) - lambda, min_j V_{t-1}(j)) over `costs` (T, K), float32.

    State, updated in place: `lead` (K,), V of each code above the lowest (infinity before the first frame), and `start`
    (K,), int32, the frame since which the best path to each code stays on it. Frames are counted from `first`. Outputs:
    `best` (T,), the code with the lowest V at each frame, and `since` (T,), its `start`. Paths only ever leave a code
    for the best one, so that these two suffice for backtracking: O(T + K) memory.
    """
    weight = torch.tensor(lmbda, dtype=torch.float32)
    zero = torch.zeros(())
    for t in range(len(costs)):
        stays = lead < weight
        value = costs[t] + torch.where(stays, lead - weight, zero)
        start.masked_fill_(~stays, first + t)
        lowest = value.min()
        winner = int((value == lowest).int().argmax())  # the first argmax of equal integers
        best[t], since[t] = winner, start[winner]
        torch.sub(value, lowest, out=lead)


def backtrack(best: Tensor, since: Tensor, units: Tensor) -> None:
    """Fill framewise `units` (T,) from the last frame's best code backwards, segment by segment.

    Consecutive utterances in one array are backtracked separately, since no segment starts before its utterance.
    """
    end = len(best)
    codes, begins = best.tolist(), since.tolist()
    while end > 0:
        begin = begins[end - 1]
        units[begin:end] = codes[end - 1]
        end = begin


def limit(costs: Tensor, n: int) -> None:
    """Set all but the `n` lowest of each row to infinity; ties for the last place go to the lower index."""
    last = costs.kthvalue(n, dim=1, keepdim=True).values
    ties = costs == last
    room = n - (costs < last).sum(1, keepdim=True)
    costs.masked_fill_((costs > last) | (ties & (ties.cumsum(1) > room)), torch.inf)
