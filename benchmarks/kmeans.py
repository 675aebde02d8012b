"""k-means compared with scikit-learn's: time to equal inertia. `python benchmarks/kmeans.py [--quick]`.

1,000,000 vectors of 256 values, k = 500: a mixture of 2,000 clusters of unequal weight whose values fall off like
those of speech features. The project's own is measured from memory and from a memory-mapped file, scikit-learn's
`KMeans` with its defaults (one k-means++ start, Lloyd, tol 1e-4) from memory. Both use all threads.
About a quarter of an hour on two cores and 4 GB of memory; --quick takes half a minute.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.cluster import KMeans
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import write
from slmcore.clustering import kmeans

TOLERANCE, TRIALS = 1e-4, 4


def vectors(n: int, dim: int, clusters: int) -> Tensor:
    """Float32 (n, dim)."""
    draw = torch.Generator().manual_seed(0)
    spread = torch.arange(1, dim + 1).float().pow(-0.5)
    centres = 2 * spread * torch.randn(clusters, dim, generator=draw)
    weights = torch.rand(clusters, generator=draw).pow(3)
    x = centres[torch.multinomial(weights, n, replacement=True, generator=draw)]
    return x.add_(torch.randn(n, dim, generator=draw).mul_(spread))


def inertia(x: Tensor, codes: Tensor) -> float:
    """Mean squared distance to the nearest code, computed independently of both."""
    return sum(float(torch.cdist(rows, codes).min(1).values.double().square().sum()) for rows in x.split(8192)) / len(x)


def run(n: int, dim: int, k: int) -> dict[str, Any]:
    """Seconds and inertia of each."""
    x = vectors(n, dim, 4 * k)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.npy"
        np.save(file, x.numpy())
        cases: dict[str, Callable[[], Tensor]] = {
            "ours": lambda: kmeans.fit(x, k, tolerance=TOLERANCE, trials=TRIALS),
            "ours_from_disk": lambda: kmeans.fit([np.load(file, mmap_mode="r")], k, tolerance=TOLERANCE, trials=TRIALS),
            "scikit_learn": lambda: torch.from_numpy(KMeans(k, random_state=0).fit(x.numpy()).cluster_centers_),
        }
        found = {name: timed(case) for name, case in cases.items()}
    results = {name: {"seconds": seconds, "inertia": inertia(x, codes)} for name, (seconds, codes) in found.items()}
    theirs = results["scikit_learn"]
    return {
        "vectors": n,
        "dim": dim,
        "k": k,
        **results,
        "times_faster": theirs["seconds"] / results["ours"]["seconds"],
        "inertia_over_theirs": results["ours"]["inertia"] / theirs["inertia"],
    }


def timed(case: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds and the codes."""
    began = time.perf_counter()
    codes = case()
    return time.perf_counter() - began, codes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 x 64, k = 100")
    if parser.parse_args().quick:
        print(run(100_000, 64, 100))
    else:
        write("kmeans", run(1_000_000, 256, 500))
