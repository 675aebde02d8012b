"""Likelihood and diversity of the transcripts of generated speech.

The measures of GSLM (Lakhotia et al., arXiv 2102.01192), at each temperature of the language model. Where its published
code averages otherwise, `convention="gslm"` does as it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmzoo.evaluation.convention import Convention, is_gslm
from slmzoo.evaluation.report.results import CLUSTER, Score, score_items
from slmzoo.evaluation.report.statistics import Bootstrap, Statistic, clustered, quantile
from slmzoo.evaluation.report.tradeoff import area, crossing
from slmzoo.evaluation.speech.diversity import auto_bleu, self_bleus, vert
from slmzoo.evaluation.speech.textmodels import TextModel

__all__ = ["ORIGINAL", "Utterance", "evaluate"]

ORIGINAL = "original"
"""Label in place of a temperature: speech that was not generated."""

_ITEMS = {"log_perplexity": "nats/token", "auto_bleu": "", "self_bleu": "", "heard": "share"}
_OF_GSLM = {"auto_bleu_arithmetic": "", "self_bleu_arithmetic": ""}
_DERIVED = {"perplexity": "a token", "vert": ""}
_QUANTILES = {"perplexity_median": 0.5, "perplexity_p10": 0.1, "perplexity_p90": 0.9}
_Rows = Mapping[str, Sequence[Mapping[str, Any]]]
_MEANS = ("log_perplexity", "auto_bleu", "self_bleu")


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """Generated utterance."""

    item: str
    """Name of its prompt and its number."""
    prompt: str = ""
    """Prompt of the continuation; utterances of one prompt are resampled together. Empty without a prompt."""
    temperature: str
    text: str
    """Transcript by the recogniser."""


def evaluate(
    utterances: Sequence[Utterance],
    model: TextModel,
    order: int = 2,
    bootstrap: Bootstrap | None = None,
    convention: Convention = "slmzoo",
) -> tuple[list[Score], dict[str, list[dict[str, Any]]]]:
    """Return scores for each temperature, and the rows of each metric.

    `perplexity`: exp of the mean negative log-likelihood of a token; `auto_bleu`, `self_bleu` and `vert`: 0..1, low is
    diverse; `heard`: the share of utterances with a word. The others are over utterances with a word. Prompts are
    resampled with all their utterances; the self-BLEU of a text is not recomputed.

    Of several temperatures also `perplexity_vert_auc`, and beside original speech `perplexity_at_original_vert` and
    `vert_at_original_perplexity`, as `tradeoff` defines them.

    `convention` "gslm": `log_perplexity` and `perplexity` are means over texts instead of tokens, with quantiles of the
    perplexity; BLEUs are also computed with the arithmetic mean over n, and utterances without a word count in them, as
    0. Raises ValueError for another convention.
    """
    as_gslm = is_gslm(convention)
    bootstrap = bootstrap or Bootstrap()
    items = _ITEMS | _OF_GSLM if as_gslm else _ITEMS
    scores: list[Score] = []
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in items}
    rows_at: dict[str, _Rows] = {}
    for temperature in dict.fromkeys(u.temperature for u in utterances):
        chosen = [u for u in utterances if u.temperature == temperature]
        rows = rows_at[temperature] = _rows(chosen, model, order, as_gslm)
        for name, unit in items.items():
            tables[name] += rows[name]
            item_scores = score_items(name, rows[name], ["temperature"], unit, bootstrap)
            scores += [score for score in item_scores if score.subset]
        subset = {"temperature": temperature}
        scores += _derived(rows, subset, bootstrap, as_gslm)
    return [*scores, *_tradeoff(rows_at, bootstrap, as_gslm)], tables


def _rows(
    utterances: Sequence[Utterance], model: TextModel, order: int, as_gslm: bool
) -> dict[str, list[dict[str, Any]]]:
    nonempty = [u for u in utterances if u.text.split()]
    likelihoods = [model(u.text) for u in nonempty]
    compared = list(utterances) if as_gslm else nonempty
    words = [u.text.split() for u in compared]
    rows = {
        "log_perplexity": _valued(nonempty, [nll / max(1, tokens) for nll, tokens in likelihoods]),
        "auto_bleu": _valued(compared, [auto_bleu(each, order) for each in words]),
        "self_bleu": _valued(compared, self_bleus(words, order)),
    }
    if as_gslm:
        rows["auto_bleu_arithmetic"] = _valued(compared, [auto_bleu(each, order, "arithmetic") for each in words])
        rows["self_bleu_arithmetic"] = _valued(compared, self_bleus(words, order, "arithmetic"))
    else:
        for row, (_, tokens) in zip(rows["log_perplexity"], likelihoods, strict=True):
            row["weight"] = tokens
    rows["heard"] = [{**_named(u), "value": float(bool(u.text.split()))} for u in utterances]
    return rows


def _valued(utterances: Sequence[Utterance], values: Sequence[float]) -> list[dict[str, Any]]:
    return [{**_named(u), "value": value, "text": u.text} for u, value in zip(utterances, values, strict=True)]


def _named(utterance: Utterance) -> dict[str, Any]:
    item = f"{utterance.temperature}/{utterance.item}"
    return {"item": item, "temperature": utterance.temperature, CLUSTER: utterance.prompt or utterance.item}


def _derived(rows: _Rows, subset: Mapping[str, str], bootstrap: Bootstrap, as_gslm: bool) -> list[Score]:
    """Score perplexity and VERT at one temperature."""
    prompts = list(dict.fromkeys(row[CLUSTER] for row in rows["auto_bleu"]))
    items = len(prompts)
    statistics = dict(zip(_DERIVED, _statistics(rows, prompts, as_gslm), strict=True))
    if as_gslm:
        statistics |= {name: _quantile(rows["log_perplexity"], prompts, share) for name, share in _QUANTILES.items()}
    return [
        Score(
            metric=name,
            interval=bootstrap.interval(statistic, items),
            items=items,
            unit=_DERIVED.get(name, "a token"),
            subset=subset,
        )
        for name, statistic in statistics.items()
    ]


def _quantile(rows: Sequence[Mapping[str, Any]], prompts: Sequence[str], share: float) -> Statistic:
    """A quantile of the perplexities of texts, by how often each of `prompts` is drawn."""
    of_texts = quantile(np.exp([row["value"] for row in rows]), share)
    owners = np.array([prompts.index(row[CLUSTER]) for row in rows], np.int64)
    return lambda counts: of_texts(counts[:, owners])


def _tradeoff(rows: Mapping[str, _Rows], bootstrap: Bootstrap, as_gslm: bool) -> list[Score]:
    """Return the trade-off of perplexity and VERT over the temperatures, and its crossings with the original speech."""
    rising = sorted((at for at in rows if at != ORIGINAL), key=float)
    if len(rising) < 2:
        return []
    prompts = list(dict.fromkeys(row[CLUSTER] for of in rows.values() for row in of["heard"]))
    curve = [_statistics(rows[at], prompts, as_gslm) for at in rising]

    def over(score: Callable[..., float], *reference: Statistic) -> Statistic:
        def of(counts: NDArray[np.float64]) -> NDArray[np.float64]:
            lines = [np.stack([point[axis](counts) for point in curve], 1).tolist() for axis in (0, 1)]
            known = [statistic(counts).tolist() for statistic in reference]
            return np.array([score(*of_draw) for of_draw in zip(*lines, *known, strict=True)])

        return of

    measures = {"perplexity_vert_auc": (over(area), "")}
    if ORIGINAL in rows:
        perplexity, original_vert = _statistics(rows[ORIGINAL], prompts, as_gslm)
        at_vert = over(lambda xs, ys, wanted: crossing(ys, xs, wanted), original_vert)
        measures["perplexity_at_original_vert"] = (at_vert, "a token")
        measures["vert_at_original_perplexity"] = (over(crossing, perplexity), "")
    return [
        Score(metric=name, interval=bootstrap.interval(statistic, len(prompts)), items=len(prompts), unit=unit)
        for name, (statistic, unit) in measures.items()
    ]


def _statistics(rows: _Rows, prompts: Sequence[str], as_gslm: bool) -> tuple[Statistic, Statistic]:
    """Return perplexity and VERT as statistics of resampled `prompts`: functions of means, resampled together."""
    nothing = [0.0] * len(prompts)

    def mean(name: str, of: Callable[[float], float] = float) -> Statistic:
        clusters = [*prompts, *(row[CLUSTER] for row in rows[name])]
        values = [*nothing, *(of(row["value"]) for row in rows[name])]
        return clustered(values, clusters, [*nothing, *(row.get("weight", 1) for row in rows[name])])[0]

    logs, own, other = map(mean, _MEANS)

    def perplexity(counts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.exp(logs(counts))

    return (mean("log_perplexity", math.exp) if as_gslm else perplexity), lambda n: vert(other(n), own(n))
