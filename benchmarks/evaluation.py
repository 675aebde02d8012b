"""Overhead of evaluation relative to the models alone: `python benchmarks/evaluation.py [--quick]`.

Pairs: 10,000 pairs of 40 units with the demo's language model, from units in memory to the accuracy with its interval,
against the bare forward passes in batches of the same sizes (of ids that are on the device already, with no softmax).

ABX: items of two contexts, three phones and three speakers, within and across speakers, on features of 256 numbers and
on units, against the slow definition in `tests/reference/abx_slow.py`, whose result it must equal.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import interleaved, write
from mistral_ulm import UnitLM, UnitTokenizer
from slmcore.batching import batches
from slmcore.language.scoring import TOKENS_AT_ONCE
from slmzoo.evaluation.likelihood.conventions import PRESETS, loglikelihoods
from slmzoo.evaluation.likelihood.pairs import Pair, accuracy
from slmzoo.evaluation.report.results import score_items
from slmzoo.evaluation.units.abx import Item, cells, error_rate, tables
from slmzoo.systems import dp_slm
from tests.reference import abx_slow

UNITS, PAIRS, QUICK_PAIRS = 40, 10_000, 500
ITEMS, QUICK_ITEMS = 120, 40


def sequences(count: int, k: int) -> list[torch.Tensor]:
    """`count` sequences of `UNITS` units without repeats."""
    draw = random.Random(0)
    found = []
    for _ in range(count):
        units = [draw.randrange(k)]
        while len(units) < UNITS:
            units.append((units[-1] + draw.randrange(1, k)) % k)
        found.append(torch.tensor(units))
    return found


@torch.inference_mode()
def bare(ulm: UnitLM, stacks: Sequence[torch.Tensor]) -> None:
    """Logits of every batch alone."""
    for ids in stacks:
        ulm.transformer(ids)


def scored(ulm: UnitLM, tokenizer: UnitTokenizer, units: Sequence[torch.Tensor], pairs: Sequence[Pair]) -> float | None:
    """Accuracy of pairs of units, with its interval."""
    values = loglikelihoods(ulm, units, PRESETS["dpslm"])
    rows = accuracy(pairs, {str(i): value for i, value in enumerate(values)})
    return score_items("accuracy", rows)[0].interval.value


def pairs_by_likelihood(count: int, runs: int) -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    ulm, tokenizer = dp_slm.ulm(zoo="demo")
    units = sequences(2 * count, ulm.config.vocab_size - 1)
    pairs = [Pair(item=str(i), positive=str(2 * i), negative=str(2 * i + 1)) for i in range(count)]
    ids = [tokenizer.encode(u) for u in units]
    groups = batches([UNITS + 1] * len(ids), TOKENS_AT_ONCE["cpu"])
    stacks = [torch.stack([ids[i][:-1] for i in group]) for group in groups]
    cases = {"forward": lambda: bare(ulm, stacks), "scored": lambda: scored(ulm, tokenizer, units, pairs)}
    seconds = interleaved(cases, runs=runs)
    return {
        "pairs": count,
        "units_each": UNITS,
        "seconds": seconds,
        "scored_over_forward": seconds["scored"] / seconds["forward"],
    }


def abx_items(count: int, distance: str) -> tuple[list[Item], list[torch.Tensor]]:
    """Items of 5 to 15 frames of random features, or units."""
    draw, noise = random.Random(0), torch.Generator().manual_seed(0)
    items, pieces = [], []
    for i in range(count):
        phone, speaker = draw.choice("abc"), draw.choice("stu")
        items.append(Item(f"f{i:05d}", Fraction(0), Fraction(1), phone, draw.choice("xy"), "z", speaker))
        size = draw.randint(5, 15)
        of_units = torch.randint(0, 50, (size,), generator=noise)
        pieces.append(of_units if distance == "identical" else torch.randn(size, 256, generator=noise))
    return items, pieces


def abx_against_definition(count: int, runs: int, distance: str) -> dict[str, Any]:
    """Seconds of both on the same items, and how many times faster ours is."""
    items, pieces = abx_items(count, distance)
    plain = [piece.numpy() if distance == "identical" else piece.double().numpy() for piece in pieces]
    limits = {"most": None, "most_speakers": None, "distance": distance}

    def ours() -> list[float]:
        both = (cells(pieces, items, speaker=speaker, **limits) for speaker in ("within", "across"))
        return [error_rate(tables(found)) for found in both]

    def theirs() -> list[float]:
        return [abx_slow.abx(items, plain, distance, across, False)[0] for across in (False, True)]

    if ours() != theirs():
        raise RuntimeError("ABX differs from its definition: no time is reported.")
    fast, slow = interleaved({"ours": ours}, runs=runs)["ours"], interleaved({"slow": theirs}, 1, 0)["slow"]
    return {"items": count, "seconds": {"ours": fast, "definition": slow}, "times_faster": slow / fast}


def main() -> None:
    """Measure, and write the results (not those of --quick)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few items, one run, nothing written")
    quick = parser.parse_args().quick
    items, runs = (QUICK_ITEMS, 1) if quick else (ITEMS, 5)
    results = {"pairs": pairs_by_likelihood(QUICK_PAIRS if quick else PAIRS, runs)}
    for name, distance in (("features", "angular"), ("units", "identical")):
        results[f"abx_on_{name}"] = abx_against_definition(items, runs, distance)
    if quick:
        print(results)
    else:
        write("evaluation", results)


if __name__ == "__main__":
    main()
