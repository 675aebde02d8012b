"""Evaluation of text information in one call: a recogniser trained on some units bounds that of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.files.digests import sha256_of
from slmcore.units import Units
from slmzoo.evaluation.recordings import matched
from slmzoo.evaluation.report.findings import Check, Findings, accept
from slmzoo.evaluation.report.results import Problems, Score, score_items
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.units.text_information import Bound, Probe, ProbeConfig, bound, needed, train, undecided

__all__ = ["evaluate_text_information"]

_UNITS = {"text_information": "nats/recording", "text_information_by_symbol": "nats/symbol"}


def evaluate_text_information(
    train_units: Mapping[str, Units],
    test_units: Mapping[str, Units],
    texts: Mapping[str, Sequence[str]],
    folder: Path,
    config: ProbeConfig,
    *,
    against: int | None = None,
    device: str = "cpu",
    problems: Problems | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> Findings:
    """Upper bound (vCLUB) of the mutual information of units and text, as SLMTokBench measures it.

    `texts`: symbols (characters or phones) of the recordings in both sets of units, by id. The recogniser is kept in
    `folder`, and reused for the same data and `config`. `against`: texts that each recording is compared with, drawn
    with `config.seed`; None for all. Recordings that cannot be scored are problems. Raises ValueError if both sets
    have a recording in common, for too few `against`, and what `check` raises.

    Example: `evaluate_text_information(train, test, texts, Path("probe"), ProbeConfig(steps=20_000)).scores`
    """
    _check(train_units, test_units, against)
    symbols = sorted({symbol for name in train_units if name in texts for symbol in texts[name]})
    ids = {symbol: i for i, symbol in enumerate(symbols, 1)}
    chosen, wrong = _usable(test_units, texts, ids)
    missing = matched("texts", {**train_units, **test_units}, texts)["missing texts"]
    found_problems = {**(problems or {}), "missing texts": missing, **wrong}
    check(found_problems)
    tokens, targets = _sequences(test_units, texts, chosen, ids)
    lost = [chosen[i] for i in undecided(tokens, targets, against, config.seed)]
    if lost:
        wanted = "enough texts that one of those drawn for each recording has no more symbols than it has tokens"
        raise ValueError(must("against", wanted, against, f"Draw more: {', '.join(lost[:5])} has none."))
    kinds = 1 + max(int(u.units.max()) for u in [*train_units.values(), *test_units.values()])
    data = _sequences(train_units, texts, [name for name in train_units if name in texts], ids)
    torch.manual_seed(config.seed)
    probe = Probe(kinds, len(ids), config).to(device)
    path = _train(probe, [kinds, asdict(config)], data, config, folder)
    found = bound(probe, tokens, targets, against, config.seed)
    scores, tables = _scores(chosen, found, bootstrap or Bootstrap())
    conventions = {
        **asdict(config),
        "tokens": "framewise",
        "against": against or len(chosen),
        "texts_possible": float(found.possible.mean()),
    }
    models = {"probe": {"file": str(path.relative_to(folder)), "sha256": sha256_of(path)}}
    return Findings(scores=scores, tables=tables, conventions=conventions, models=models, problems=found_problems)


def _check(train_units: Mapping[str, Units], test_units: Mapping[str, Units], against: int | None) -> None:
    if against is not None and against < 1:
        raise ValueError(must("against", "a number of texts >= 1", against, "Leave it out for all."))
    both = sorted(train_units.keys() & test_units.keys())
    if both:
        raise ValueError(f"TRAIN and TEST must have no recording in common, but both have {', '.join(both[:5])}.")


def _usable(
    units: Mapping[str, Units], texts: Mapping[str, Sequence[str]], ids: Mapping[str, int]
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the recordings for which the bound can be computed; and, as problems, the others."""
    there = [name for name in units if name in texts]
    known = [name for name in there if set(texts[name]) <= ids.keys()]
    tokens, targets = _sequences(units, texts, known, ids)
    short = [name for name, x, y in zip(known, tokens, targets, strict=True) if len(x) < needed(y)]
    chosen = [name for name in known if name not in set(short)]
    return chosen, {"symbols not in TRAIN": sorted(set(there) - set(known)), "fewer tokens than CTC needs": short}


def _sequences(
    units: Mapping[str, Units], texts: Mapping[str, Sequence[str]], names: Sequence[str], ids: Mapping[str, int]
) -> tuple[list[Tensor], list[Tensor]]:
    tokens = [units[name].framewise() for name in names]
    return tokens, [torch.tensor([ids[symbol] for symbol in texts[name]]) for name in names]


def _train(
    probe: Probe, made_of: list[Any], data: tuple[list[Tensor], list[Tensor]], config: ProbeConfig, folder: Path
) -> Path:
    """Train the recogniser, or load one trained on the same data with the same settings; return its file."""
    tokens, targets = data
    listed = [[x.tolist(), y.tolist()] for x, y in zip(tokens, targets, strict=True)]
    fingerprint = hashlib.sha256(json.dumps([*made_of, listed]).encode()).hexdigest()[:16]
    run = folder / f"probe-{fingerprint}"
    train(probe, tokens, targets, config, run)
    probe.eval()
    return run / "probe.pt"


def _scores(names: Sequence[str], found: Bound, bootstrap: Bootstrap) -> tuple[list[Score], dict[str, list[dict]]]:
    values = list(zip(names, found.information.tolist(), found.symbols.tolist(), strict=True))
    tables = {
        "text_information": [{"item": name, "value": value} for name, value, _ in values],
        "text_information_by_symbol": [{"item": n, "value": v / size, "weight": size} for n, v, size in values],
    }
    of_each = (score_items(m, rows, unit=_UNITS[m], bootstrap=bootstrap) for m, rows in tables.items())
    return [score for scores in of_each for score in scores], tables
