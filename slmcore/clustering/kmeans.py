"""k-means in torch over vectors that need not fit in memory, for several k at once, resumable after each pass.

k-means++ and Lloyd's iterations on a random sample come first; a few passes over all vectors then suffice.
"""

from __future__ import annotations

import logging
import math
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.clustering.blocks import Blocks, Summary, Vectors, summary
from slmcore.clustering.lloyd import Pass, nearest, plus_plus
from slmcore.errors import must
from slmcore.files.places import write_bytes

__all__ = ["assign", "fit", "fit_many"]

logger = logging.getLogger(__name__)
_SAMPLE_A_CODE = 128
_SMALLEST_SAMPLE = 1 << 14


def fit(
    x: Vectors,
    k: int,
    *,
    iterations: int = 300,
    tolerance: float = 1e-6,
    trials: int = 1,
    seed: int = 7,
    sample: int | None = None,
) -> Tensor:
    """Return a codebook of `k` codes, float32 (k, dim): `fit_many` for one k."""
    return fit_many(x, [k], iterations=iterations, tolerance=tolerance, trials=trials, seed=seed, sample=sample)[k]


def fit_many(
    x: Vectors,
    ks: Sequence[int],
    *,
    iterations: int = 300,
    tolerance: float = 1e-6,
    trials: int = 1,
    seed: int = 7,
    device: torch.device | str | None = None,
    state: str | Path | None = None,
    sample: int | None = None,
) -> dict[int, Tensor]:
    """Return a codebook, float32 (k, dim), for each k of `ks`, fitted in shared passes over `x`.

    `x`: vectors (n, dim), or blocks of them, e.g. memory-mapped arrays, read again in each pass. At most `iterations`
    passes, fewer when the inertia falls by less than `tolerance` of itself; the start is the best of `trials` on
    `sample` vectors (None: 128 for each code, 16384 at least). A code left without vectors moves to the vector farthest
    from its own code. `device`: where to compute, by default where a tensor is. `state`: a file, replaced after each
    pass, from which an interrupted run resumes. The same `seed` gives the same codebooks. Raises ValueError for k
    outside 1..n, for values that are not finite, and for a state of other vectors or settings.
    """
    blocks, draw = Blocks(x, device), torch.Generator().manual_seed(seed)
    if not ks or min(ks) < 1 or len(set(ks)) < len(ks):
        raise ValueError(must("k", "different whole numbers >= 1", list(ks)))
    seen = summary(blocks, sample or max(_SMALLEST_SAMPLE, _SAMPLE_A_CODE * max(ks)), draw)
    if max(ks) > seen.count:
        raise ValueError(must("k", f"from 1 to the number of vectors, here {seen.count}", max(ks)))
    # Squares of centred vectors lose less to rounding.
    blocks.mean = seen.mean
    drawn = seen.sample - seen.mean
    store = _Store(state, seen, {"ks": list(ks), "seed": seed, "trials": trials, "tolerance": tolerance})
    runs = store.read(blocks.device) or _warm_up(drawn, ks, iterations, tolerance, trials, draw)
    if len(drawn) < seen.count:
        _lloyd(blocks, runs, drawn, iterations, tolerance, store)
    return {k: run.codes + seen.mean for k, run in runs.items()}


def assign(x: Tensor, codebook: Tensor, rows: int = 2048) -> Tensor:
    """Index of the nearest code of each vector: (n, dim), (k, dim) -> int64 (n,). Ties go to the lower index.

    Distances of `rows` vectors are in memory at a time.
    """
    if x.ndim != 2 or codebook.ndim != 2 or x.shape[1] != codebook.shape[1]:
        shown = f"a tensor of {tuple(x.shape)} for a codebook of {tuple(codebook.shape)}"
        raise ValueError(must("x", "of shape (n, dim) with the dim of the codebook", shown))
    mean = codebook.float().mean(0)
    return torch.cat([nearest(part.float() - mean, codebook.float() - mean)[0] for part in x.split(rows)])


@dataclass
class _Run:
    """Progress of k-means for one k."""

    codes: Tensor
    inertia: float = math.inf
    passes: int = 0
    settled: bool = False


def _warm_up(
    sample: Tensor, ks: Sequence[int], iterations: int, tolerance: float, trials: int, draw: torch.Generator
) -> dict[int, _Run]:
    runs: dict[int, _Run] = {}
    for k in ks:
        tried = [_Run(plus_plus(sample, k, draw)) for _ in range(trials)]
        for run in tried:
            _lloyd(Blocks(sample), {k: run}, sample, iterations, tolerance)
        runs[k] = _Run(min(tried, key=lambda run: run.inertia).codes)
    return runs


def _lloyd(
    blocks: Blocks,
    runs: dict[int, _Run],
    sample: Tensor,
    iterations: int,
    tolerance: float,
    store: _Store | None = None,
) -> None:
    """Update the codes of all runs, one pass over the blocks at a time, until they converge."""
    while moving := {k: run for k, run in runs.items() if not run.settled and run.passes < iterations}:
        sums = {k: Pass(run.codes) for k, run in moving.items()}
        for x in blocks:
            for each in sums.values():
                each.add(x)
        for k, run in moving.items():
            run.settled = run.inertia - sums[k].inertia <= tolerance * sums[k].inertia
            run.codes, run.inertia, run.passes = sums[k].means(sample), sums[k].inertia, run.passes + 1
            logger.debug("k = %d, pass %d: inertia %.6g", k, run.passes, run.inertia)
        if store is not None:
            store.write(runs)


class _Store:
    """Optional checkpoint file that an interrupted run resumes from, replaced atomically."""

    def __init__(self, path: str | Path | None, seen: Summary, settings: dict[str, Any]) -> None:
        self._path = None if path is None else Path(path)
        self._setup = {**settings, "vectors": seen.count, "dim": len(seen.mean), "sum": float(seen.mean.sum())}

    def read(self, device: torch.device) -> dict[int, _Run] | None:
        """Return the runs in the file, None without one; a ValueError for those of other vectors or settings."""
        if self._path is None or not self._path.exists():
            return None
        try:
            saved = torch.load(self._path, map_location=device, weights_only=True)
            setup, runs = saved["setup"], {k: _Run(**run) for k, run in saved["runs"].items()}
        except (RuntimeError, pickle.UnpicklingError, KeyError, TypeError, AttributeError, EOFError) as error:
            raise ValueError(f"{self._path} is not the state of a k-means that can be read. Remove it.") from error
        if setup != self._setup:
            raise ValueError(must("state", f"of {self._setup}", setup, f"Remove {self._path} to start anew."))
        return runs

    def write(self, runs: dict[int, _Run]) -> None:
        if self._path is None:
            return
        content = BytesIO()
        torch.save({"setup": self._setup, "runs": {k: asdict(run) for k, run in runs.items()}}, content)
        write_bytes(self._path, content.getvalue())
