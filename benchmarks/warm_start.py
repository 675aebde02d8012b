"""Steps of training on units with and without a warm start from text: minutes on one core.

    python benchmarks/warm_start.py [--train UNITS --validation UNITS --k K] [--quick]

A small Llama is trained on the letters of English prose (Python's own manual). Its body then initialises a unit
language model, compared with one trained from scratch with the same settings, and with one initialised from the
untrained Llama, which separates the effect of the text from that of the scale of the weights. Units are a folder as for
`slmzoo train ulm`; without one, they are made from the demo's sentences: each letter becomes one or two of its own
three units, drawn at random, so that words have many spellings, as in units of speech. Writes the curves and the number
of steps in which the warm start reaches the final loss of the cold start.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import common
from slmzoo.recipes.speech.sentences import sentences
from slmzoo.training.loop.task import generator
from slmzoo.training.tasks import ulm
from slmzoo.training.tasks.ulm import UlmSettings

SIZES = {"dim": 128, "n_layers": 4, "head_dim": 32, "hidden_dim": 384, "n_heads": 4, "n_kv_heads": 2}
CHUNK, BATCH = 128, 16
LETTERS = "abcdefghijklmnopqrstuvwxyz "


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--train", type=Path)
    parser.add_argument("--validation", type=Path)
    parser.add_argument("--k", type=int, help="of units in .npy files")
    parser.add_argument("--lmbda", type=float, help="as for --k")
    parser.add_argument("--text-steps", type=int, default=400)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    text_steps, steps = (4, 4) if options.quick else (options.text_steps, options.steps)
    synthetic = options.train is None
    if synthetic:
        options.k, options.lmbda = 3 * len(LETTERS), 0.0
        options.train, options.validation = spelled(folder / "train", 2000), spelled(folder / "test", 100)
    text_loss = learn_text(folder / "models" / "text", text_steps)
    learn_text(folder / "models" / "untrained", 0)
    curves = {}
    for name, init in (
        ("cold", None),
        ("untrained", folder / "models" / "untrained"),
        ("warm", folder / "models" / "text"),
    ):
        ulm.train(settings(folder / name, options, steps, init))
        curves[name] = held_out(folder / name)
    goal = min(loss for _, loss in curves["cold"])
    needed = next((step for step, loss in curves["warm"] if loss <= goal), None)
    report = {
        "units": "made from sentences" if synthetic else options.train.name,
        "text_steps": text_steps, "text_loss": round(text_loss, 3), "steps": steps, "cold_loss": round(goal, 4),
        "untrained_loss": round(min(loss for _, loss in curves["untrained"]), 4),
        "warm_loss": round(min(loss for _, loss in curves["warm"]), 4), "warm_steps_to_cold_loss": needed,
        "curves": curves,
    }  # fmt: skip
    if options.quick:
        print(report)
        return
    common.write("warm_start", report)
    draw(curves, goal, common.RESULTS / "warm_start-cpu.png")


def settings(run: Path, options: argparse.Namespace, steps: int, init: Path | None) -> UlmSettings:
    rate = {"lr": 1e-3, "warmup": min(20, steps // 2), "dropout": 0.0, "device": "cpu"}
    every = {"validate_every": max(1, steps // 20), "save_every": steps, "log_every": max(1, steps // 20)}
    known = {"k": options.k, "lmbda": options.lmbda, "train": options.train, "validation": options.validation}
    batch = {"steps": steps, "batch": BATCH, "accumulate": 1, "chunk": CHUNK}
    return UlmSettings(run=run, init=init and f"hf:{init}", **known, **SIZES, **batch, **rate, **every)


def learn_text(folder: Path, steps: int) -> float:
    """Train a small Llama on letters, and write it as transformers does; return its last loss in nats."""
    from pydoc_data import topics

    from transformers import LlamaConfig, LlamaForCausalLM

    text = " ".join("".join(topics.topics.values()).lower().split())
    ids = torch.tensor([LETTERS.index(letter) for letter in text if letter in LETTERS])
    sizes = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "head_dim": 32}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": len(LETTERS)}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**sizes, **heads))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    loss = torch.tensor(0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, (step + 1) / 20, 3 * (steps - step) / steps)
        starts = torch.randint(len(ids) - CHUNK, (BATCH,), generator=generator(0, step))
        chunk = ids[starts[:, None] + torch.arange(CHUNK)]
        loss = model(chunk, labels=chunk).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.save_pretrained(folder)
    return float(loss.detach())


def spelled(folder: Path, count: int) -> Path:
    """Sentences of the split that the folder is named after as units, twenty to a chapter."""
    draw = np.random.default_rng(len(folder.name))
    for number, sentence in enumerate(sentences(folder.name, count)):
        letters = [LETTERS.index(letter) for letter in sentence.lower() if letter in LETTERS]
        units = np.concatenate([3 * i + draw.permutation(3)[: draw.integers(1, 3)] for i in letters])
        file = folder / f"c{number // 20}" / f"{number}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, units.astype(np.int16))
    return folder


def held_out(run: Path) -> list[tuple[int, float]]:
    with (run / "validation.csv").open() as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


def draw(curves: dict[str, list[tuple[int, float]]], goal: float, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    for (name, curve), colour in zip(curves.items(), ("#0072B2", "#999999", "#D55E00"), strict=True):
        axes.plot(*zip(*curve, strict=True), color=colour, label=f"{name} start", marker=".")
    axes.axhline(goal, color="#777777", lw=0.8, ls="--")
    axes.set_xlabel("step")
    axes.set_ylabel("held-out loss, nats per unit")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
