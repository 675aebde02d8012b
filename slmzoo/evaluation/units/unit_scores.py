"""Scores of a set of units: bit rate, agreement with phones, and ABX phone discriminability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from slmcore.units import Units
from slmzoo.evaluation.convention import Convention, is_gslm
from slmzoo.evaluation.report.results import CLUSTER, GROUP, Row, Score, score_items
from slmzoo.evaluation.report.statistics import Bootstrap, Interval, Method, Statistic
from slmzoo.evaluation.units import abx, bitrate
from slmzoo.evaluation.units.abx import Item
from slmzoo.evaluation.units.phones import boundaries, joint
from slmzoo.evaluation.units.textgrid import Phone

__all__ = ["Scored", "cost", "discriminability", "joined", "phonetic"]

Scored = tuple[list[Score], Mapping[str, Sequence[Row]]]
"""Scores, and the rows of the items behind them."""


def joined(parts: Iterable[Scored]) -> Scored:
    """Join several findings."""
    scores: list[Score] = []
    tables: dict[str, Sequence[Row]] = {}
    for part_scores, rows in parts:
        scores += part_scores
        tables |= rows
    return scores, tables


def cost(units: Mapping[str, Units], bootstrap: Bootstrap, convention: Convention = "slmzoo") -> Scored:
    """Score bit rate, units per second, perplexity, and number of codes used; utterances are resampled.

    A row of the bit rate holds an utterance's code length under the whole set's distribution. `convention` "gslm" takes
    the entropy that GSLM states, and adds `bit_rate_uniform`, by log2(k).
    """
    listed = list(units.values())
    rates, bits = _bit_rates(listed, convention)
    whole: list[tuple[str, Statistic, str, Method]] = [
        *rates,
        ("units_per_second", bitrate.units_per_second(listed), "1/s", "percentile"),
        ("perplexity", bitrate.perplexity(listed), "codes", "basic"),
    ]
    scores = [
        Score(metric=name, interval=bootstrap.interval(statistic, len(units), method), items=len(units), unit=unit)
        for name, statistic, unit, method in whole
    ]
    used = Interval(value=float(bitrate.codes_used(listed)), low=None, high=None)
    scores.append(Score(metric="codes_used", interval=used, items=len(units), unit="codes"))
    seconds = [{"item": name, "weight": u.seconds} for name, u in units.items()]
    counts = [len(u) for u in listed]
    tables: dict[str, Sequence[Row]] = {
        metric: [{**row, "value": n / row["weight"]} for row, n in zip(seconds, totals, strict=True)]
        for metric, totals in (("bit_rate", bits), ("units_per_second", counts))
    }
    return scores, tables


def _bit_rates(
    units: Sequence[Units], convention: Convention
) -> tuple[list[tuple[str, Statistic, str, Method]], list[float]]:
    """Bit rates of utterances, and the bits of each."""
    if not is_gslm(convention):
        return [("bit_rate", bitrate.bit_rate(units), "bits/s", "basic")], bitrate.bits(units)
    entropy, uniform = bitrate.gslm_entropies(units[0].operating_point)
    rate = bitrate.units_per_second(units)
    return [
        ("bit_rate", lambda drawn: rate(drawn) * entropy, "bits/s", "percentile"),
        ("bit_rate_uniform", lambda drawn: rate(drawn) * uniform, "bits/s", "percentile"),
    ], [len(u) * entropy for u in units]


def phonetic(
    units: Mapping[str, Units], alignments: Mapping[str, Sequence[Phone]], bootstrap: Bootstrap, tolerance: float = 0.02
) -> Scored:
    """Score purities, mutual information, and boundaries within `tolerance` seconds; utterances are resampled.

    `alignments`: the phones of each of `units`.
    """
    listed, phones = list(units.values()), [alignments[name] for name in units]
    shared, edges = joint(listed, phones), boundaries(listed, phones, tolerance)
    whole: list[tuple[str, Statistic, str, Method]] = [
        ("phone_purity", shared.phone_purity, "share", "basic"),
        ("cluster_purity", shared.cluster_purity, "share", "basic"),
        ("mutual_information", shared.information, "bits", "basic"),
        ("pnmi", shared.pnmi, "share", "basic"),
        ("boundary_r_value", edges.r_value, "", "percentile"),
    ]
    scores = [
        Score(metric=name, interval=bootstrap.interval(statistic, len(units), method), items=len(units), unit=unit)
        for name, statistic, unit, method in whole
    ]
    tables: dict[str, Sequence[Row]] = {}
    parts = {
        "precision": (1, edges.predicted),
        "recall": (1, edges.reference),
        "f1": (2, edges.predicted + edges.reference),
    }
    for name, (factor, total) in parts.items():
        hits = np.divide(factor * edges.hits, total, out=np.zeros(len(total)), where=total > 0)
        triples = zip(units, hits.tolist(), total.tolist(), strict=True)
        rows = [{"item": item, "value": value, "weight": weight} for item, value, weight in triples]
        tables[f"boundary_{name}"] = rows
        scores += score_items(f"boundary_{name}", rows, unit="share", bootstrap=bootstrap)
    return scores, tables


def discriminability(
    name: str, pieces: Sequence[Tensor], items: Sequence[Item], bootstrap: Bootstrap, **task: Any
) -> Scored:
    """Score the ABX error rate under the metric `name`; speakers are resampled. `task`: the options of `abx.cells`.

    A row holds the error rate of a pair of phones for one speaker of A and B.
    """
    table = abx.tables(abx.cells(pieces, items, **task))
    speakers = sorted({speaker for errors in table.values() for speaker in errors})
    abx.error_rate(table)  # raises if nothing can be compared
    interval = bootstrap.interval(abx.resampled(table, speakers), len(speakers))
    score = Score(metric=name, interval=interval, items=len(speakers), unit="error rate")
    rows = [
        {"item": f"{'/'.join(pair)} {speaker}", "value": error, CLUSTER: speaker, GROUP: "/".join(pair)}
        for pair, errors in sorted(table.items())
        for speaker, error in sorted(errors.items())
    ]
    return [score], {name: rows}
