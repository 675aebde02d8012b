"""Generated speech beside the true continuations of its prompts, as GSLM's published code compares them.

A file `ground_truth_continuation_*.json` of GSLM maps the name of each utterance to its seconds and its text. GSLM
(Lakhotia et al., arXiv 2102.01192) evaluates the prompts of its 1000 shortest entries, and cuts generated speech, which
begins with the prompt, to the seconds of the entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slmcore.checks import whole
from slmcore.errors import must
from slmzoo.evaluation.report.results import CLUSTER, Score, score_items
from slmzoo.evaluation.report.statistics import Bootstrap, quantile
from slmzoo.evaluation.speech.diversity import self_bleus

__all__ = ["SHORTEST_SECONDS", "TrueContinuation", "chosen", "continuation_bleu", "read_continuations"]

SHORTEST_SECONDS = 6.0
"""Seconds below which GSLM's published code accepts no entry."""

_METRIC, _ORDER = "continuation_bleu2", 2


@dataclass(frozen=True, kw_only=True)
class TrueContinuation:
    """Entry of the file."""

    seconds: float
    """Length to which generated speech is cut."""
    text: str
    """Text that is compared with the transcripts."""


def read_continuations(path: Path) -> dict[str, TrueContinuation]:
    """Read `{"name": [seconds, "text"]}`, by name.

    Raises OSError for a missing file, and ValueError, with the file and the entry, for another content or seconds
    below 6.
    """
    remedy = "Take GSLM's ground_truth_continuation_*.json."
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}. {remedy}") from error
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path} must hold a JSON object of `name: [seconds, text]` with an entry. {remedy}")
    return {name: _entry(f"{path}, entry {name}", value) for name, value in content.items()}


def chosen(
    known: Mapping[str, TrueContinuation], prompts: Sequence[Path], shortest: int = 1000
) -> dict[str, TrueContinuation]:
    """Return the entries of `prompts`, by stem, that are among the `shortest` ones of all `known`.

    Of equally long ones the earlier counts as shorter. Raises ValueError for a prompt without an entry, and if none is
    left.
    """
    missing = [path.stem for path in prompts if path.stem not in known]
    if missing:
        raise ValueError(must("prompts", "named as entries of the file of continuations", ", ".join(missing[:5])))
    whole("shortest", shortest, 1)
    taken = set(sorted(known, key=lambda name: known[name].seconds)[:shortest])
    entries = {path.stem: known[path.stem] for path in prompts if path.stem in taken}
    if not entries:
        about = f"{len(prompts)} prompts, none of them"
        raise ValueError(must("prompts", f"among the {shortest} shortest continuations of the file", about))
    return entries


def continuation_bleu(
    texts: Iterable[tuple[str, str, str]], truths: Mapping[str, str], bootstrap: Bootstrap | None = None
) -> tuple[list[Score], list[dict[str, Any]]]:
    """Continuation-BLEU2 for each temperature: BLEU-2 of the true continuation with all samples as references.

    `texts`: temperature, prompt and transcript of each sample; `truths`: text of each prompt. Geometric mean over n,
    no penalty for length, 0..1. GSLM states the median over prompts, `continuation_bleu2_median`; the rows, whose mean
    is `continuation_bleu2`, are those of the prompts.
    """
    samples: dict[tuple[str, str], list[list[str]]] = {}
    for temperature, prompt, text in texts:
        samples.setdefault((temperature, prompt), []).append(text.split())
    rows = [
        {
            "item": f"{temperature}/{prompt}",
            "temperature": temperature,
            CLUSTER: prompt,
            "value": self_bleus([truths[prompt].split(), *transcripts], _ORDER)[0],
            "text": truths[prompt],
        }
        for (temperature, prompt), transcripts in samples.items()
    ]
    bootstrap = bootstrap or Bootstrap()
    means = [score for score in score_items(_METRIC, rows, ["temperature"], "", bootstrap) if score.subset]
    return [*means, *(_median(rows, mean.subset, bootstrap) for mean in means)], rows


def _median(rows: Sequence[Mapping[str, Any]], subset: Mapping[str, str], bootstrap: Bootstrap) -> Score:
    values = np.array([row["value"] for row in rows if row["temperature"] == subset["temperature"]])
    interval = bootstrap.interval(quantile(values, 0.5), len(values))
    return Score(metric=f"{_METRIC}_median", interval=interval, items=len(values), subset=subset)


def _entry(where: str, value: Any) -> TrueContinuation:
    pair = isinstance(value, list) and len(value) == 2
    if not (pair and _is_number(value[0]) and isinstance(value[1], str)):
        raise ValueError(must(where, "[seconds, text]", value))
    if not value[0] >= SHORTEST_SECONDS:
        raise ValueError(must(where, f"at least {SHORTEST_SECONDS:g} s long", f"{value[0]} s"))
    return TrueContinuation(seconds=float(value[0]), text=value[1])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
