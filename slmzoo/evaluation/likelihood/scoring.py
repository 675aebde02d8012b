"""Likelihood benchmarks in one call: accuracy of a pipeline, of a language model on units, or of given scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slmcore.errors import must
from slmcore.roles import UnitLanguageModel
from slmcore.units import Units
from slmzoo.evaluation.likelihood.conventions import PRESETS, Convention, loglikelihoods, usual_convention
from slmzoo.evaluation.likelihood.pairs import Benchmark, accuracy, likelihood_rows, problems_of
from slmzoo.evaluation.report.provenance import identity, models_of
from slmzoo.evaluation.report.results import Check, Findings, Problems, accept, score_items
from slmzoo.evaluation.report.statistics import Bootstrap
from slmzoo.evaluation.units.unit_store import units_of
from slmzoo.pipeline import Pipeline

__all__ = ["evaluate_pairs", "evaluate_pairs_of_units", "evaluate_scores"]

_TOO_SHORT = "too short to score, unless one unit is by --bos yes"


def evaluate_pairs(
    pipeline: Pipeline,
    benchmark: Benchmark,
    convention: Convention | None = None,
    *,
    store: Path | None = None,
    models: Mapping[str, Any] | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
    progress: bool = False,
) -> Findings:
    """Compute the accuracy of a pipeline on pairs of recordings: how often the right one is likelier; ties count half.

    The metrics are "accuracy" and its subsets by `benchmark.by`; the log-likelihood (nats) of each recording is in
    `tables["loglikelihood"]`. `convention`: by default that of the language model's system. `store`: folder of the
    units, from which an interrupted call resumes. `models`: names and digests of the models for the result, by default
    those of the pipeline's registry rows. Raises ValueError for a pipeline without a language model, and the errors
    of `check`.

    Example: `evaluate_pairs(pipeline, salmon(folder), PRESETS["twist"]).scores[0].interval.value`
    """
    if pipeline.ulm is None:
        raise ValueError(must("pipeline", "one with a language model", "one without", "Load it with one."))
    models = models_of(pipeline.sources) if models is None else models
    files = {name: benchmark.files[name] for name in benchmark.ids if name in benchmark.files}
    units, failed = units_of(pipeline, files, store, identity(pipeline, models))
    findings = evaluate_pairs_of_units(
        pipeline.ulm,
        units,
        benchmark,
        convention,
        there={*benchmark.files, *failed},
        problems={"unreadable": list(failed)},
        bootstrap=bootstrap,
        check=check,
        progress=progress,
    )
    return replace(findings, models=models)


def evaluate_pairs_of_units(
    ulm: UnitLanguageModel,
    units: Mapping[str, Units],
    benchmark: Benchmark,
    convention: Convention | None = None,
    *,
    there: Collection[str] | None = None,
    problems: Problems | None = None,
    origin: str = "the units",
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
    progress: bool = False,
) -> Findings:
    """Compute the accuracy of a language model on pairs of known units, by the id of the recording.

    `convention`: by default that of the model's system. `there`: recordings that exist, with or without units; by
    default those of `units`. `problems`: further problems of the data for `check`. `origin` names the units in errors.
    Raises ValueError if units and language model are of different operating points, and the errors of `check`.
    """
    point = getattr(ulm, "operating_point", None)
    if point is not None:
        for each in units.values():
            point.check_compatible(each.operating_point, f"{origin} and the language model")
    convention = (PRESETS[usual_convention(ulm)] if convention is None else convention).of(ulm)
    encoded = [name for name in benchmark.ids if name in units]
    wanted = [name for name in encoded if convention.scores(len(units[name]))]
    values = loglikelihoods(ulm, [units[name] for name in wanted], convention, progress=progress)
    findings = evaluate_scores(
        benchmark,
        dict(zip(wanted, values, strict=True)),
        there=units.keys() if there is None else there,
        problems={**(problems or {}), _TOO_SHORT: sorted(set(encoded) - set(wanted))},
        bootstrap=bootstrap,
        check=check,
    )
    return replace(findings, conventions={**convention.describe(ulm), **findings.conventions})


def evaluate_scores(
    benchmark: Benchmark,
    scores: Mapping[str, float],
    *,
    there: Collection[str] | None = None,
    problems: Problems | None = None,
    bootstrap: Bootstrap | None = None,
    check: Check = accept,
) -> Findings:
    """Compute the accuracy of given scores of recordings by id; higher is likelier.

    `there` and `problems` as for `evaluate_pairs_of_units`. Raises what `check` raises.
    """
    own, others = problems_of(benchmark, scores if there is None else there), problems or {}
    merged = {kind: sorted({*own.get(kind, ()), *others.get(kind, ())}) for kind in {**own, **others}}
    check(merged)
    rows = accuracy(benchmark.pairs, scores)
    return Findings(
        scores=score_items("accuracy", rows, benchmark.by, "accuracy", bootstrap),
        tables={"accuracy": rows, "loglikelihood": likelihood_rows(benchmark, scores)},
        conventions={"ties": 0.5},
        problems=merged,
    )
