"""Evaluation of text information in one call: a recogniser trained on some tokens bounds that of others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.errors import must
from slmcore.files.digests import sha256_of
from slmcore.units import Units
from slmzoo.evaluation.recordings import matched
from slmzoo.evaluation.report.results import Check, Findings, Problems, Score, accept, score_items
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.units.text_information import (
    Bound,
    Probe,
    ProbeConfig,
    bound,
    needed,
    recognised,
    train,
    undecided,
)

__all__ = ["TextProbe", "evaluate_text_information", "evaluate_token_information"]

Tokens = Mapping[str, Tensor]
"""Tokens of recordings by id, each int64 (T,), or (streams, T) where each frame has several."""

_UNITS = {"text_information": "nats/recording", "text_information_by_symbol": "nats/symbol"}


@dataclass(frozen=True, eq=False)
class TextProbe:
    """Recogniser of text that was trained on tokens."""

    probe: Probe
    ids: Mapping[str, int]
    """Numbers of the symbols, from 1."""

    def recognise(self, tokens: Tensor) -> list[str]:
        """Return the symbols that it recognises in tokens (T,) or (streams, T)."""
        symbols = {number: symbol for symbol, number in self.ids.items()}
        return [symbols[number] for number in recognised(self.probe, tokens)]


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
    have a recording in common, for too few `against`, and the errors of `check`.

    Example: `evaluate_text_information(train, test, texts, Path("probe"), ProbeConfig(steps=20_000)).scores`
    """
    train, test = ({name: each.framewise() for name, each in units.items()} for units in (train_units, test_units))
    kinds = 1 + max((int(x.max()) for some in (train, test) for x in some.values()), default=0)
    options: dict[str, Any] = {"against": against, "device": device, "problems": problems}
    options |= {"bootstrap": bootstrap, "check": check}
    return evaluate_token_information(train, test, texts, folder, config, kinds=kinds, **options)[0]


def evaluate_token_information(
    train_tokens: Tokens,
    test_tokens: Tokens,
    texts: Mapping[str, Sequence[str]],
    folder: Path,
    config: ProbeConfig,
    *,
    kinds: int,
    vectors: Tensor | None = None,
    against: int | None = None,
    device: str = "cpu",
    problems: Problems | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> tuple[Findings, TextProbe]:
    """Upper bound of the mutual information of tokens of `kinds` kinds and text, and the recogniser behind it.

    Streams of tokens are embedded one by one and added; `vectors` (streams, kinds, config.dim) start the embedding.
    Other arguments and errors as for `evaluate_text_information`.
    """
    _check(train_tokens, test_tokens, against)
    symbols = sorted({symbol for name in train_tokens if name in texts for symbol in texts[name]})
    ids = {symbol: i for i, symbol in enumerate(symbols, 1)}
    chosen, wrong = _usable(test_tokens, texts, ids)
    missing = matched("texts", {**train_tokens, **test_tokens}, texts)["missing texts"]
    all_problems = {**(problems or {}), "missing texts": missing, **wrong}
    check(all_problems)
    tokens, targets = _sequences(test_tokens, texts, chosen, ids)
    _check_drawn([chosen[i] for i in undecided(tokens, targets, against, config.seed)], against)
    data = _sequences(train_tokens, texts, [name for name in train_tokens if name in texts], ids)
    probe, path = _trained(data, len(ids), kinds, vectors, config, folder, device)
    information = bound(probe, tokens, targets, against, config.seed)
    scores, tables = _scores(chosen, information, bootstrap or Bootstrap())
    conventions = {
        **asdict(config),
        "tokens": "framewise",
        "against": against or len(chosen),
        "texts_possible": float(information.possible.mean()),
    }
    models = {"probe": {"file": str(path.relative_to(folder)), "sha256": sha256_of(path)}}
    context = {"conventions": conventions, "models": models, "problems": all_problems}
    return Findings(scores=scores, tables=tables, **context), TextProbe(probe, ids)


def _check(train_tokens: Tokens, test_tokens: Tokens, against: int | None) -> None:
    if against is not None and against < 1:
        raise ValueError(must("against", "a number of texts >= 1", against, "Leave it out for all."))
    both = sorted(train_tokens.keys() & test_tokens.keys())
    if both:
        raise ValueError(f"TRAIN and TEST must have no recording in common, but both have {', '.join(both[:5])}.")


def _check_drawn(lost: Sequence[str], against: int | None) -> None:
    """Raise a ValueError for recordings too short for every drawn text."""
    if lost:
        wanted = "enough texts that one of those drawn for each recording has no more symbols than it has tokens"
        raise ValueError(must("against", wanted, against, f"Draw more: {', '.join(lost[:5])} has none."))


def _usable(
    tokens: Tokens, texts: Mapping[str, Sequence[str]], ids: Mapping[str, int]
) -> tuple[list[str], dict[str, list[str]]]:
    """Return the recordings for which the bound can be computed; and, as problems, the others."""
    there = [name for name in tokens if name in texts]
    known = [name for name in there if set(texts[name]) <= ids.keys()]
    sequences, targets = _sequences(tokens, texts, known, ids)
    short = [name for name, x, y in zip(known, sequences, targets, strict=True) if x.shape[-1] < needed(y)]
    chosen = [name for name in known if name not in set(short)]
    return chosen, {"symbols not in TRAIN": sorted(set(there) - set(known)), "fewer tokens than CTC needs": short}


def _sequences(
    tokens: Tokens, texts: Mapping[str, Sequence[str]], names: Sequence[str], ids: Mapping[str, int]
) -> tuple[list[Tensor], list[Tensor]]:
    return [tokens[name] for name in names], [torch.tensor([ids[symbol] for symbol in texts[name]]) for name in names]


def _trained(
    data: tuple[list[Tensor], list[Tensor]],
    symbols: int,
    kinds: int,
    vectors: Tensor | None,
    config: ProbeConfig,
    folder: Path,
    device: str,
) -> tuple[Probe, Path]:
    """Train the recogniser, or load one trained on the same data with the same settings; return it and its file."""
    tokens, targets = data
    listed = [[x.tolist(), y.tolist()] for x, y in zip(tokens, targets, strict=True)]
    begun = [] if vectors is None else [hashlib.sha256(vectors.cpu().numpy().tobytes()).hexdigest()]
    fingerprint = hashlib.sha256(json.dumps([kinds, asdict(config), *begun, listed]).encode()).hexdigest()[:16]
    torch.manual_seed(config.seed)
    streams = max((x.reshape(-1, x.shape[-1]).shape[0] for x in tokens), default=1)
    probe = Probe(kinds, symbols, config, streams, vectors).to(device)
    run = folder / f"probe-{fingerprint}"
    train(probe, tokens, targets, config, run)
    return probe.eval(), run / "probe.pt"


def _scores(names: Sequence[str], estimate: Bound, bootstrap: Bootstrap) -> tuple[list[Score], dict[str, list[dict]]]:
    values = list(zip(names, estimate.information.tolist(), estimate.symbols.tolist(), strict=True))
    tables = {
        "text_information": [{"item": name, "value": value} for name, value, _ in values],
        "text_information_by_symbol": [{"item": n, "value": v / size, "weight": size} for n, v, size in values],
    }
    of_each = (score_items(m, rows, unit=_UNITS[m], bootstrap=bootstrap) for m, rows in tables.items())
    return [score for scores in of_each for score in scores], tables
