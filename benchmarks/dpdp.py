"""DPDP compared with nearest codes, its oracle and the published algorithm: `python benchmarks/dpdp.py`.

On a machine with a GPU the same command measures the GPU. `--published FILE` adds the `dpdp.py` of the published
repository (github.com/nicolvisser/dpdp, kept outside of this one); `--quick` is a rehearsal that writes nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))  # before this folder, where `dpdp` would be this file

from benchmarks.common import RESULTS, interleaved, write
from dpdp import DPDPQuantizer, OnlineDPDP, fit_lmbda, naive, objective
from dpdp import fallback as torch_loops
from dpdp.distances import squared_distances

WIDTH = 1024
CUDA = torch.cuda.is_available()
Cases = dict[str, Callable[[], object]]


def features_and_codes(frames: int, k: int, batch: int | None = None) -> tuple[Tensor, Tensor]:
    """Frames that stay near a code for about 4 frames, like features of speech."""
    generator = torch.Generator().manual_seed(0)
    codebook = torch.randn(k, WIDTH, generator=generator)
    total = frames * (batch or 1)
    held = torch.randint(k, (total // 4 + 1,), generator=generator).repeat_interleave(4)[:total]
    features = codebook[held]
    for part in features.split(10_000):
        part.add_(torch.randn(part.shape, generator=generator), alpha=0.8)
    features = features if batch is None else features.view(batch, frames, WIDTH)
    return (features.cuda(), codebook.cuda()) if CUDA else (features, codebook)


def nearest(features: Tensor, codebook: Tensor) -> Tensor:
    return torch.cdist(features, codebook).argmin(-1)


def quantise(codebook: Tensor, n: int | None = None, lmbda: float = 600.0) -> Callable[[Tensor], object]:
    return DPDPQuantizer(codebook, lmbda, n).to(codebook.device).segment


def without_numba(features: Tensor, codebook: Tensor) -> None:
    with patch("dpdp.viterbi._loops_for", lambda _frames: torch_loops):
        quantise(codebook)(features)


def oracle(features: Tensor, codebook: Tensor) -> Tensor:
    return naive(squared_distances(features, codebook).cpu(), 600.0)


def published(file: Path | None) -> Callable[[Tensor, Tensor], object] | None:
    if file is None:
        return None
    spec = importlib.util.spec_from_file_location("published_dpdp", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda features, codebook: module.dpdp(features, codebook, 600.0, None)


def compare(cases: Cases, against: str, runs: int) -> dict[str, Any]:
    """Medians in ms and their ratio to the case `against`."""
    seconds = interleaved(cases, runs, warm_up=2)
    return {
        name: {"ms": round(1e3 * taken, 3), "ratio": round(taken / seconds[against], 3)}
        for name, taken in seconds.items()
    }


def one_utterance(frames: int, k: int, neighbors: int, runs: int) -> dict[str, Any]:
    x, codes = features_and_codes(frames, k)
    return compare(
        {
            "cdist + argmin": partial(nearest, x, codes),
            "dpdp": partial(quantise(codes), x),
            f"dpdp, {neighbors} neighbours": partial(quantise(codes, neighbors), x),
        },
        "cdist + argmin",
        runs,
    )


def slow_ones(frames: int, k: int, runs: int, reference: Callable | None) -> dict[str, Any]:
    x, codes = features_and_codes(frames, k)
    cases: Cases = {
        "dpdp": partial(quantise(codes), x),
        "its matrix product alone": partial(torch.mm, x, codes.T),
        "naive": partial(oracle, x, codes),
    }
    if not CUDA:
        cases["dpdp without numba"] = partial(without_numba, x, codes)
    if reference:
        cases["published"] = partial(reference, x, codes)
    return compare(cases, "dpdp", runs)


def long_utterance(frames: int, k: int, runs: int) -> dict[str, Any]:
    """Time a frame of a long utterance against that of its first 1000 frames."""
    x, codes = features_and_codes(frames, k)
    call, short = quantise(codes), x[:1000].clone()
    seconds = interleaved({"long": partial(call, x), **{f"short{i}": partial(call, short) for i in range(9)}}, runs)
    per_frame = {
        frames: 1e6 * seconds["long"] / frames,
        1000: 1e3 * statistics.median(seconds[f"short{i}"] for i in range(9)),
    }
    ratio = per_frame[frames] / per_frame[1000]
    return {"us_per_frame": {str(t): round(us, 3) for t, us in per_frame.items()}, "ratio": round(ratio, 3)}


def batch_on_gpu(batch: int, frames: int, k: int, runs: int) -> dict[str, Any]:
    x, codes = features_and_codes(frames, k, batch)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    quantise(codes)(x)
    peak = torch.cuda.max_memory_allocated() - before
    cases: Cases = {
        "cdist + argmin": partial(nearest, x, codes),
        "dpdp": partial(quantise(codes), x),
        f"dpdp, {k // 20} neighbours": partial(quantise(codes, k // 20), x),
    }
    return {**compare(cases, "cdist + argmin", runs), "peak_bytes": peak}


def curve(sizes: list[tuple[int, int]], runs: int, reference: Callable | None) -> list[dict[str, Any]]:
    """All paths over growing (frames, codes); those that grow with the square of T stop at 3000 frames."""
    points = []
    for frames, k in sizes:
        x, codes = features_and_codes(frames, k)
        cases: Cases = {
            "cdist + argmin": partial(nearest, x, codes),
            "dpdp": partial(quantise(codes), x),
            "dpdp, 5 % neighbours": partial(quantise(codes, max(1, k // 20)), x),
        }
        if not CUDA:
            cases["dpdp without numba"] = partial(without_numba, x, codes)
        if frames <= 3000:
            cases["naive"] = partial(oracle, x, codes)
            cases.update({"published": partial(reference, x, codes)} if reference else {})
        points.append({"frames": frames, "k": k, "seconds": interleaved(cases, runs)})
    return points


def waiting(delays: tuple[int, ...]) -> dict[str, Any]:
    """Delay of a stream's units, and the cost of a bound on it, on the demo zoo's features of the sample.

    `excess`: the objective above the optimum, relative to the sum of the distances plus lambda x repeats.
    """
    from slmcore import audio
    from slmzoo.systems import dp_slm

    wav, sr = audio.read(Path(__file__).parents[1] / "examples" / "sample.wav")
    codebook = dp_slm.load_codebook(zoo="demo")
    layer = codebook.operating_point.layer if codebook.operating_point else None
    with torch.inference_mode():
        x = dp_slm.wavlm(zoo="demo")[0].features(audio.mono(wav), sr, layer)
    n = len(codebook.codes) // 5
    lmbda = fit_lmbda(x, codebook.codes, 12.5, num_neighbors=n)
    distances = squared_distances(x, codebook.codes)
    _, best = DPDPQuantizer(codebook.codes, lmbda, n)(x)
    lowest = objective(distances, best, lmbda)
    scale = lowest + 2 * lmbda * int((best[1:] == best[:-1]).sum())
    found: dict[str, Any] = {"frames": len(x), "lmbda": lmbda}
    for delay in (None, *delays):
        stream = OnlineDPDP(codebook.codes, lmbda, n, delay)
        parts = [stream.push(frame) for frame in x.split(1)]
        waits = torch.arange(1, len(x) + 1) - torch.tensor([len(part) for part in parts]).cumsum(0)
        units = torch.cat([*parts, stream.flush()])
        found[str(delay)] = {
            "excess": (objective(distances, units, lmbda) - lowest) / scale,
            "other_units": float((units != best).float().mean()),
            "mean_wait_frames": float(waits.float().mean()),
            "longest_wait_frames": int(waits.max()),
        }
    return found


def plot(points: list[dict[str, Any]], over: str, fixed: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    for name in dict.fromkeys(name for point in points for name in point["seconds"]):
        here = [point for point in points if name in point["seconds"]]
        axes.loglog([p[over] for p in here], [1e3 * p["seconds"][name] for p in here], marker="o", ms=4, label=name)
    axes.set_xlabel({"frames": "frames T", "k": "codes K"}[over])
    axes.set_ylabel("features to units, ms")
    axes.set_title(f"{fixed}, D = {WIDTH}, {'GPU' if CUDA else f'{torch.get_num_threads()} CPU threads'}", fontsize=10)
    axes.grid(which="both", alpha=0.2)
    axes.legend(fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--published", type=Path, help="dpdp.py of the published repository")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    options = parser.parse_args()
    reference, quick = published(options.published), options.quick
    runs = 3 if quick else 21
    load = os.getloadavg()
    results: dict[str, Any] = {
        "T=1000 K=500": one_utterance(200 if quick else 1000, 500, 25, runs),
        "T=1500 K=1000": one_utterance(200 if quick else 1500, 1000, 50, runs),
        "T=1500 K=500": one_utterance(200 if quick else 1500, 500, 25, runs),
        "slow ones, T=1000 K=500": slow_ones(100 if quick else 1000, 500, 3 if quick else 15, reference),
        "slow ones, T=1500 K=500": slow_ones(100 if quick else 1500, 500, 3 if quick else 5, reference),
        "T=90000 K=500": long_utterance(5000 if quick else 90_000, 500, 1 if quick else 3),
    }
    results["stream, delay in frames"] = waiting((0, 2, 5, 10, 20, 40))
    if CUDA:
        results["64 x T=1500 K=500"] = batch_on_gpu(64, 1500, 500, runs)
        results["64 x T=1500 K=2000"] = batch_on_gpu(64, 1500, 2000, runs)
    frames = [100, 300] if quick else [100, 300, 1000, 3000, 10_000]
    over_t = curve([(t, 500) for t in frames], 3, reference)
    over_k = curve([(100 if quick else 1000, k) for k in (100, 200, 500, 1000, 2000)], 3, reference)
    results |= {"over T": over_t, "over K": over_k, "load_average": {"before": load, "after": os.getloadavg()}}
    if quick:
        print(results)
        return
    path = write("dpdp", results)
    plot(over_t, "frames", "K = 500", RESULTS / f"{path.stem}-frames.png")
    plot(over_k, "k", "T = 1000", RESULTS / f"{path.stem}-codes.png")


if __name__ == "__main__":
    main()
