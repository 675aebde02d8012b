"""What generated speech says, as a recogniser hears it: is it likely, and does it repeat itself?

The measures of GSLM (Lakhotia et al., arXiv 2102.01192), at each temperature of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmzoo.evaluation.diversity import auto_bleu, self_bleus
from slmzoo.evaluation.results import CLUSTER, Score, score_items
from slmzoo.evaluation.statistics import Bootstrap, clustered
from slmzoo.evaluation.textmodels import TextModel

__all__ = ["ORIGINAL", "Utterance", "evaluate"]

ORIGINAL = "original"
"""In place of a temperature: speech that was not generated."""

_ITEMS = {"log_perplexity": "nats/token", "auto_bleu": "", "self_bleu": "", "heard": "share"}
_MEANS = ("log_perplexity", "auto_bleu", "self_bleu")


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A generated utterance."""

    item: str
    """Name of its prompt and its number."""
    prompt: str = ""
    """What it goes on from; utterances of one prompt are resampled together. Empty if it began from nothing."""
    temperature: str
    text: str
    """What the recogniser heard."""


def evaluate(
    utterances: Sequence[Utterance], model: TextModel, order: int = 2, bootstrap: Bootstrap | None = None
) -> tuple[list[Score], dict[str, list[dict[str, Any]]]]:
    """Scores for each temperature, and the rows of each metric.

    `perplexity`: exp of the mean negative log-likelihood of a token; `auto_bleu`, `self_bleu` and `vert`: 0..1, low is
    diverse; `heard`: the share of utterances with a word. The others are over utterances with a word. Prompts are
    resampled with all that was made of them; how much a text is like all the others stays what it is.
    """
    bootstrap = bootstrap or Bootstrap()
    scores: list[Score] = []
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in _ITEMS}
    for temperature in dict.fromkeys(u.temperature for u in utterances):
        rows = _rows([u for u in utterances if u.temperature == temperature], model, order)
        for name, unit in _ITEMS.items():
            tables[name] += rows[name]
            found = score_items(name, rows[name], ["temperature"], unit, bootstrap)
            scores += [score for score in found if score.subset]
        scores += _derived(rows, {"temperature": temperature}, bootstrap)
    return scores, tables


def _rows(utterances: Sequence[Utterance], model: TextModel, order: int) -> dict[str, list[dict[str, Any]]]:
    heard = [(u, words) for u in utterances if (words := u.text.split())]
    like = [model(u.text) for u, _ in heard]
    values = {
        "log_perplexity": [nll / max(1, tokens) for nll, tokens in like],
        "auto_bleu": [auto_bleu(words, order) for _, words in heard],
        "self_bleu": self_bleus([words for _, words in heard], order),
    }
    rows = {
        name: [{**_named(u), "value": value, "text": u.text} for (u, _), value in zip(heard, found, strict=True)]
        for name, found in values.items()
    }
    for row, (_, tokens) in zip(rows["log_perplexity"], like, strict=True):
        row["weight"] = tokens
    rows["heard"] = [{**_named(u), "value": float(bool(u.text.split()))} for u in utterances]
    return rows


def _named(utterance: Utterance) -> dict[str, Any]:
    item = f"{utterance.temperature}/{utterance.item}"
    return {"item": item, "temperature": utterance.temperature, CLUSTER: utterance.prompt or utterance.item}


def _derived(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], subset: Mapping[str, str], bootstrap: Bootstrap
) -> list[Score]:
    """Perplexity and VERT: functions of means, which are drawn together."""
    prompts = [row[CLUSTER] for row in rows["auto_bleu"]]
    tokens = {"log_perplexity": [row["weight"] for row in rows["log_perplexity"]]}
    means = [clustered([r["value"] for r in rows[n]], prompts, tokens.get(n)) for n in _MEANS]
    (logs, items), (own, _), (other, _) = means

    def perplexity(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(logs(counts))

    def vert(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt(own(counts) * other(counts))

    return [
        Score(metric=name, interval=bootstrap.interval(statistic, items), items=items, unit=unit, subset=subset)
        for name, statistic, unit in (("perplexity", perplexity, "a token"), ("vert", vert, ""))
    ]
