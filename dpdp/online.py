"""DPDP on a stream, returning units as soon as no future frame can change them."""

from __future__ import annotations

import heapq

import torch
from torch import Tensor

from dpdp.distances import Codes, check_features, check_lmbda, check_num_neighbors, check_squares
from dpdp.viterbi import fresh_state, loops
from slmcore.checks import whole

__all__ = ["OnlineDPDP", "OnlineSearch"]


class OnlineDPDP:
    """Quantise a stream of features; the concatenated outputs of `push` and `flush` equal the offline result.

    On given distances it is so to the bit for any split into pushes. From features, matrix products of other shapes
    round otherwise: where two paths are equally good within that rounding, the other one may come out.
    """

    def __init__(
        self, codebook: Tensor, lmbda: float, num_neighbors: int | None = None, max_delay: int | None = None
    ) -> None:
        """Set the quantiser's parameters (see `DPDPQuantizer`) and the longest delay.

        `max_delay`: a frame is decided at the latest after this many further frames, by the best path then, which may
        exceed the optimum. None waits as long as necessary.
        """
        self._codes = Codes.of(codebook)
        k = len(self._codes)
        self._search = OnlineSearch(k, check_lmbda(lmbda), check_num_neighbors(num_neighbors, k), max_delay)

    def push(self, features: Tensor) -> Tensor:
        """Add frames (n, D), n >= 0; return the framewise units, int64 (m,), that are now final.

        They follow those returned before. Invalid features raise as in `DPDPQuantizer` and leave the stream unchanged.
        """
        if isinstance(features, Tensor) and len(features) == 0:
            return torch.empty(0, dtype=torch.int64)
        check_features(features, self._codes)
        costs, largest = self._codes.costs(features)
        check_squares(largest, [features])
        return self._search.push(costs.cpu())

    def flush(self) -> Tensor:
        """End the utterance and return its remaining framewise units, int64 (m,). The next push begins another one."""
        return self._search.flush()


class OnlineSearch:
    """Search of `OnlineDPDP` on given distances: CPU, float32 (n, K)."""

    def __init__(self, k: int, lmbda: float, num_neighbors: int, max_delay: int | None = None) -> None:
        if max_delay is not None:
            max_delay = whole("max_delay", max_delay, 0, "None or a number of frames >= 0")
        self._k, self._lmbda, self._neighbors, self._max_delay = k, lmbda, num_neighbors, max_delay
        self._begin()

    def _begin(self) -> None:
        self._lead, self._start = fresh_state(self._k)
        self._seen = self._given = 0
        # Best code and start of its segment, for each frame from `_given`.
        self._best = torch.empty(0, dtype=torch.int32)
        self._since = torch.empty(0, dtype=torch.int32)

    def push(self, costs: Tensor) -> Tensor:
        """Add distances, which must be finite; return the units that are now final."""
        if self._neighbors < self._k:
            costs = costs.clone()
            loops().limit(costs, self._neighbors)
        if self._max_delay is None:
            self._advance(costs)
            return self._give(self._agreed())
        return torch.cat([self._push_in_time(row, self._max_delay) for row in costs.split(1)])

    def flush(self) -> Tensor:
        """Return the remaining units, and reset."""
        rest = self._give(self._seen)
        self._begin()
        return rest

    def _push_in_time(self, row: Tensor, max_delay: int) -> Tensor:
        self._advance(row)
        due = self._seen - max_delay
        agreed = self._agreed()
        if agreed >= due:
            return self._give(agreed)
        self._keep_only(due)
        return self._give(due)

    def _advance(self, costs: Tensor) -> None:
        best, since = (torch.empty(len(costs), dtype=torch.int32) for _ in range(2))
        loops().advance(costs, self._lmbda, self._lead, self._start, self._seen, best, since)
        self._best, self._since = torch.cat([self._best, best]), torch.cat([self._since, since])
        self._seen += len(costs)

    def _give(self, until: int) -> Tensor:
        """Return the units of the frames from `_given` up to `until`, by the currently best path."""
        units = torch.empty(len(self._best), dtype=torch.int64)
        loops().backtrack(self._best, (self._since - self._given).clamp_(min=0), units)
        count = until - self._given
        self._best, self._since, self._given = self._best[count:], self._since[count:], until
        return units[:count]

    def _alive(self) -> list[tuple[int, int]]:
        """Return start and code of every path that may still win: the best, and those that may stay on their codes.

        A path lambda or more behind could only continue by switching, which the best one does at lower cost.
        """
        alive = self._lead < torch.tensor(self._lmbda, dtype=torch.float32)
        alive[int(self._best[-1])] = True
        codes = alive.nonzero()[:, 0]
        return list(zip(self._start[codes].tolist(), codes.tolist(), strict=True))

    def _before(self, start: int) -> tuple[int, int]:
        """Return start and code of the segment that precedes every segment from `start`."""
        at = start - 1 - self._given
        return int(self._since[at]), int(self._best[at])

    def _agreed(self) -> int:
        """Return the frame up to which all paths that may still win agree, the latest where they meet on one code."""
        until = self._seen
        paths = {(-start, code) for start, code in self._alive()} if until else set()
        latest = list(paths)
        heapq.heapify(latest)
        while len(paths) > 1:
            newest = heapq.heappop(latest)
            until = -newest[0]
            if until <= self._given:
                return self._given
            start, code = self._before(until)
            paths.remove(newest)
            if (-start, code) not in paths:
                paths.add((-start, code))
                heapq.heappush(latest, (-start, code))
        return until

    def _keep_only(self, until: int) -> None:
        """Discard every path that differs from the best one in the last frame before `until`."""
        winner = int(self._best[-1])
        kept = self._code_at(until - 1, int(self._start[winner]), winner)
        for start, code in self._alive():
            if self._code_at(until - 1, start, code) != kept:
                self._lead[code] = torch.inf

    def _code_at(self, frame: int, start: int, code: int) -> int:
        while start > frame:
            start, code = self._before(start)
        return code
