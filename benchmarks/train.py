"""Tokens per second of training the unit language model, against a plain loop and the device's bfloat16 matrix rate.

    python benchmarks/train.py            # full size, on a GPU
    python benchmarks/train.py --quick    # tiny, on a CPU: only shows that it runs

The published size and settings: 12 layers of 1024, chunks of 1024 ids, 12 in a batch, 8 batches per step. The plain
loop is hand-written around the same model under autocast: default AdamW, the loss read at every batch. FLOPs per token:
6 for each weight of a matrix, and 6 x layers x width x chunk for causal attention.
"""

from __future__ import annotations

import argparse
import csv
import gc
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import common
from mistral_ulm import UnitLM
from slmzoo.training.data.unit_files import Spoken
from slmzoo.training.data.unit_ids import UnitIds
from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks.ulm import Chapters, UlmSettings, UlmTask, chunk_loss

K = 500
MEMORY = Path("/dev/shm")
QUICK = {"dim": 64, "n_layers": 2, "head_dim": 16, "hidden_dim": 128, "n_heads": 4, "n_kv_heads": 4}
QUICK |= {"chunk": 64, "batch": 4, "accumulate": 2}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", type=int, help="timed steps (12, or 4 with --quick)")
    options = parser.parse_args()
    steps = options.steps or (4 if options.quick else 12)
    warm = 2 if options.quick else 4
    rate = matrix_rate(512 if options.quick else 8192)
    sizes = QUICK if options.quick else {}
    cases: dict[str, Callable[[], float]] = {
        "plain loop": lambda: plain(settings(sizes, steps, warm)),
        "slmzoo train ulm": lambda: framework(settings(sizes, steps, warm), warm),
        "slmzoo train ulm --compile": lambda: framework(settings({**sizes, "compile": True}, steps, warm), warm),
    }
    if options.quick:
        del cases["slmzoo train ulm --compile"]  # compiling for a CPU takes minutes
    results = {}
    for name, case in cases.items():
        tokens = case()
        flops = tokens * flops_a_token(settings(sizes, steps, warm))
        results[name] = {
            "tokens_a_second": round(tokens),
            "tflops": round(flops / 1e12, 3),
            "share_of_matrix_rate": round(flops / rate, 3),
        }
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    plain_rate = results["plain loop"]["tokens_a_second"]
    for result in results.values():
        result["times_the_plain_loop"] = round(result["tokens_a_second"] / plain_rate, 2)
    report = {"matrix_tflops_bf16": round(rate / 1e12, 2), "quick": options.quick, "cases": results}
    print(report) if options.quick else common.write("train", report)


def settings(more: dict, steps: int, warm: int) -> UlmSettings:
    # In memory where there is a file system for it: the last checkpoint of the full size has 2.4 GB.
    folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    return UlmSettings(
        run=folder / "run", train=folder, validation=folder, k=K, lmbda=0.0, precision="bf16", steps=steps + warm,
        validate_every=None, save_every=10**9, log_every=warm, **more,
    )  # fmt: skip


def task(chosen: UlmSettings) -> UlmTask:
    units = torch.randint(K, (200, 1000), generator=generator(0, 0))
    chapters = Chapters([Spoken(str(i), str(i // 20), u) for i, u in enumerate(units)], UnitIds(K), chosen.chunk)
    torch.manual_seed(0)
    return UlmTask(UnitLM(chosen.transformer(K + 1, output_bias=False)), chapters, [], chosen, 50.0)


def framework(chosen: UlmSettings, warm: int) -> float:
    """Tokens per second between the first row of the log, after warm-up, and the last."""
    fit(task(chosen), chosen, Run.open(chosen))
    with (chosen.run / "train.csv").open() as file:
        rows = [(int(row["step"]), float(row["seconds"])) for row in csv.DictReader(file)]
    shutil.rmtree(chosen.run.parent)
    (first, began), (last, ended) = rows[0], rows[-1]
    return (last - first) * tokens_a_step(chosen) / (ended - began)


def plain(chosen: UlmSettings) -> float:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trained = task(chosen).to(device).train()
    optimizer = torch.optim.AdamW(
        trained.parameters(), lr=chosen.lr, betas=chosen.betas, weight_decay=chosen.weight_decay
    )
    warm, began = chosen.log_every, 0.0
    for step in range(chosen.steps):
        if step == warm:
            common.wait()
            began = time.perf_counter()
        for number in range(chosen.accumulate):
            chunks = trained.batch(generator(0, step, number)).to(device)
            with torch.autocast(device, torch.bfloat16):
                loss = chunk_loss(trained.model, chunks) / chosen.accumulate
            loss.backward()
            loss.item()
        nn.utils.clip_grad_norm_(trained.parameters(), chosen.clip)
        optimizer.step()
        optimizer.zero_grad()
    common.wait()
    return (chosen.steps - warm) * tokens_a_step(chosen) / (time.perf_counter() - began)


def tokens_a_step(chosen: UlmSettings) -> int:
    return chosen.batch * chosen.accumulate * chosen.chunk


def flops_a_token(chosen: UlmSettings) -> float:
    with torch.device("meta"):
        model = UnitLM(chosen.transformer(K + 1, output_bias=False))
    weights = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "tok_embeddings" not in name)
    return 6 * weights + 6 * chosen.n_layers * chosen.n_heads * chosen.head_dim * chosen.chunk


def matrix_rate(size: int) -> float:
    """FLOPs per second of a product of two square bfloat16 matrices: the best of several, after a warm-up."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = [common.timed(lambda: [a @ b for _ in range(10)]) / 10 for _ in range(8)]
    return 2 * size**3 / min(seconds[2:])


if __name__ == "__main__":
    main()
