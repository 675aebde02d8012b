"""Evaluations of units in one call: bit rate and phone information, or ABX phone discriminability."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor
from tqdm import tqdm

from slmcore.errors import must
from slmcore.units import Units
from slmzoo.evaluation.convention import Convention
from slmzoo.evaluation.recordings import matched
from slmzoo.evaluation.report.results import Check, Findings, Problems, accept
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.units import abx
from slmzoo.evaluation.units.textgrid import Phone
from slmzoo.evaluation.units.unit_scores import cost, discriminability, joined, phonetic

__all__ = ["AbxTask", "evaluate_abx", "evaluate_units", "point_of_units"]


def evaluate_units(
    units: Mapping[str, Units],
    alignments: Mapping[str, Sequence[Phone]] | None = None,
    *,
    tolerance: float = 0.02,
    convention: Convention = "slmzoo",
    problems: Problems | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> Findings:
    """Compute bit rate, units per second, perplexity and codes used of units, by the id of the recording.

    With `alignments` (the phones of each recording) also purities, mutual information with phones, and boundaries that
    match within `tolerance` seconds. Recordings without an alignment and alignments without a recording are further
    problems. `convention`: "gslm" for bit rates as GSLM counts them. Raises ValueError without units, and the errors
    of `check`.

    Example: `evaluate_units({"a": pipeline.units(wav, sr)}).scores[0].interval.value`
    """
    _check_any(units)
    all_problems = {
        **(problems or {}),
        **(matched("alignments", units, alignments) if alignments is not None else {}),
    }
    check(all_problems)
    bootstrap = bootstrap or Bootstrap()
    scored = [cost(units, bootstrap, convention)]
    conventions = {**point_of_units(units), "convention": convention}
    if alignments is not None:
        both = {name: each for name, each in units.items() if name in alignments}
        scored.append(phonetic(both, alignments, bootstrap, tolerance))
        conventions |= {"tolerance": tolerance, "silence": "a phone of its own"}
    scores, tables = joined(scored)
    return Findings(scores=scores, tables=tables, conventions=conventions, problems=all_problems)


def point_of_units(units: Mapping[str, Units]) -> dict[str, Any]:
    """Return zoo, k, lambda and neighbours of units, as conventions of a result."""
    point = next(iter(units.values())).operating_point
    known = {name: getattr(point, name, None) for name in ("zoo", "k", "lmbda", "num_neighbors")}
    return {**known, "deduplicated": True}


@dataclass(frozen=True, kw_only=True)
class AbxTask:
    """Choice of the triples of an ABX task."""

    context: Literal["within", "any"] = "within"
    """Whether the neighbouring phones must be the same, or do not matter."""
    most: int = 10
    """Most items of one context, speaker and phone."""
    most_speakers: int = 5
    """Most speakers of X for one A, across speakers."""
    seed: int = 0
    """Seed of the draws."""


def evaluate_abx(
    frames: Mapping[str, Tensor],
    items: Sequence[abx.Item],
    frame_rate: float,
    task: AbxTask = AbxTask(),  # frozen
    *,
    distance: Literal["angular", "identical"] = "angular",
    speakers: Sequence[str] = ("within", "across"),
    there: Collection[str] | None = None,
    problems: Problems | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> Findings:
    """Compute ABX error rates within and across speakers, of features (T, D) or framewise units (T,) by recording.

    `items`: the phones to compare, of `read_items`; those of recordings without frames, or shorter than a frame, are
    problems. `frame_rate`: frames per second. `distance`: "angular" for features, "identical" for units. `there`:
    recordings that exist, with or without frames. Raises ValueError if nothing can be compared, and the errors
    of `check`.

    Example: `evaluate_abx({"a": encoder.features(wav, sr)}, read_items("phones.item"), encoder.frame_rate)`
    """
    task, wanted = task or AbxTask(), {item.file for item in items}
    all_problems = {**(problems or {}), **matched("recordings", wanted, frames if there is None else there)}
    known = [item for item in items if item.file in frames]
    pieces = abx.cut(frames, known, frame_rate) if known else []
    all_problems["too short"] = [item.label for item, x in zip(known, pieces, strict=True) if not len(x)]
    check(all_problems)
    pairs = [(item, piece) for item, piece in zip(known, pieces, strict=True) if len(piece)]
    options = {"distance": distance, "progress": _progress, **asdict(task)}
    cut, of = [piece for _, piece in pairs], [item for item, _ in pairs]
    scores, tables = joined(
        discriminability(f"abx_{speaker}", cut, of, bootstrap or Bootstrap(), speaker=speaker, **options)
        for speaker in speakers
    )
    conventions = {**asdict(task), "distance": distance, "resampled": "speakers"}
    return Findings(scores=scores, tables=tables, conventions=conventions, problems=all_problems)


def _progress(benches: Iterable[Any]) -> Iterable[Any]:
    return tqdm(benches, desc="abx", disable=None)


def _check_any(units: Mapping[str, Units]) -> None:
    if not units:
        raise ValueError(must("units", "those of one recording at least", "empty"))
