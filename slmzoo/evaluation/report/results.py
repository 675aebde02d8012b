"""Results of an evaluation: one self-contained JSON, and a csv of items per metric.

`OUT/<task>.json` holds scores with intervals, conventions, versions, digests of the models and the command;
`OUT/<task>.<metric>.csv` a row per item (`item`, `value`, `weight`, and group columns). Items that agree in
`resampled_by` are resampled together; with `averaged_by`, the score is the mean of its values' means. The JSON is
written last, so that its presence marks a complete result. Nothing in it depends on the time of day.
"""

from __future__ import annotations

import csv
import io
import json
import math
import platform
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from slmcore.errors import must
from slmcore.files.digests import sha256_of, write_atomically
from slmzoo.evaluation.report.statistics import Bootstrap, Interval, clustered
from slmzoo.tables import columns

__all__ = [
    "CLUSTER",
    "GROUP",
    "Check",
    "Findings",
    "Problems",
    "Result",
    "Row",
    "Score",
    "accept",
    "flat",
    "from_flat",
    "insist",
    "items_of",
    "read",
    "score_items",
    "table",
    "versions",
]

Row = Mapping[str, Any]
Problems = Mapping[str, Sequence[str]]
"""Names affected by each kind of problem ("missing", "extra", "duplicated", ...)."""
Check = Callable[[Problems], None]
"""Callback that receives the problems of the data before any expensive computation, and may raise."""

CLUSTER, GROUP = "resampled_by", "averaged_by"
"""Columns of a csv: groups resampled together, and groups averaged first."""

_FORMAT, _VERSION = "slmzoo-evaluation", 1
_NAMED = 5
_PACKAGES = (
    "slmzoo",
    "torch",
    "torchaudio",
    "numpy",
    "numba",
    "jiwer",
    "pocketsphinx",
    "pystoi",
    "pesq",
    "transformers",
    "faster-whisper",
    "visqol-python",
)


@dataclass(frozen=True, kw_only=True)
class Score:
    """Score of a result."""

    metric: str
    interval: Interval
    items: int
    """Number of independent items."""
    unit: str = ""
    """Unit of measurement, e.g. "accuracy", "%", "bits/s"."""
    subset: Mapping[str, str] = field(default_factory=dict)
    """Columns of the metric's csv and their values; empty for all items."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Scores of an evaluation, the items behind them, and how they were computed."""

    scores: Sequence[Score]
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Rows of the items of each metric that has any."""
    conventions: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Any] = field(default_factory=dict)
    """Models by role, each with its SHA-256."""
    problems: Problems = field(default_factory=dict)
    """Items left out, by reason; the findings are incomplete if there are any."""

    def result(self, task: str, bootstrap: Bootstrap | None = None, command: Sequence[str] = ()) -> Result:
        """Return the result that `slmzoo eval` writes (`Result.save`), under the name `task`."""
        return Result(task=task, findings=self, bootstrap=bootstrap or Bootstrap(), command=command)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Findings of one evaluation under the name of its task, as they are written."""

    task: str
    findings: Findings
    bootstrap: Bootstrap
    command: Sequence[str]

    def save(self, folder: str | Path) -> Path:
        """Write the csvs and then the JSON, each atomically; return the JSON's path."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        csvs: dict[str, dict[str, str]] = {}
        for metric, rows in self.findings.tables.items():
            path = folder / f"{self.task}.{metric}.csv"
            write_atomically(path, _csv(rows))
            csvs[metric] = {"file": path.name, "sha256": sha256_of(path)}
        target = folder / f"{self.task}.json"
        write_atomically(target, json.dumps(self._content(csvs), indent=1, allow_nan=False) + "\n")
        (folder / f"{self.task}.problems.json").unlink(missing_ok=True)
        return target

    def _content(self, csvs: Mapping[str, Any]) -> dict[str, Any]:
        findings = self.findings
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "task": self.task,
            "complete": not any(findings.problems.values()),
            "scores": [flat(score) for score in findings.scores],
            "csv": csvs,
            "conventions": dict(findings.conventions),
            "statistics": {**asdict(self.bootstrap), "method": "bootstrap over items"},
            "models": dict(findings.models),
            "problems": {kind: list(names) for kind, names in findings.problems.items() if names},
            "versions": versions(),
            "command": shlex.join(self.command),
        }


def flat(score: Score) -> dict[str, Any]:
    """Return a score as fields of the JSON: metric, subset, value, low, high, method, items, unit."""
    interval = {name: _plain(getattr(score.interval, name)) for name in ("value", "low", "high")}
    return {
        "metric": score.metric,
        "subset": dict(score.subset),
        **interval,
        "method": score.interval.method,
        "items": score.items,
        "unit": score.unit,
    }


def from_flat(row: Mapping[str, Any]) -> Score:
    """Return the score of `flat`'s result."""
    interval = Interval(value=row["value"], low=row["low"], high=row["high"], method=row["method"])
    return Score(metric=row["metric"], interval=interval, items=row["items"], unit=row["unit"], subset=row["subset"])


def score_items(
    metric: str, rows: Sequence[Row], by: Sequence[str] = (), unit: str = "", bootstrap: Bootstrap | None = None
) -> list[Score]:
    """Score the weighted mean of all items with its interval, and that of each value of the columns `by`.

    `rows`: `item` (unique), `value`, `weight` (1 if left out), and the columns. An empty column is unknown, and forms
    no subset. Rows that agree in `resampled_by` are resampled together, as one item.
    """
    bootstrap = bootstrap or Bootstrap()
    twice = [name for name, times in Counter(str(row["item"]) for row in rows).items() if times > 1]
    if twice:
        raise ValueError(must("item", "another one in each row of a metric", twice))

    def score(some: Sequence[Row], subset: Mapping[str, str]) -> Score:
        values, weights = [float(r["value"]) for r in some], [float(r.get("weight", 1)) for r in some]
        clusters = [r[CLUSTER] for r in some if CLUSTER in r]
        if clusters:
            found = bootstrap.interval(*clustered(values, clusters, weights))
        else:
            found = bootstrap.mean(values, weights)
        return Score(metric=metric, interval=found, items=len(set(clusters)) or len(some), unit=unit, subset=subset)

    groups = [(column, value) for column in by for value in _values(rows, column)]
    parts = [({c: v}, [row for row in rows if str(row[c]) == v]) for c, v in groups]
    return [score(rows, {}), *(score(some, subset) for subset, some in parts)]


def accept(problems: Problems) -> None:
    """Accept any problems; they are part of the findings."""


def insist(problems: Problems, allow_missing: bool, report: Path | None = None) -> None:
    """Raise a ValueError that describes the problems, unless they are allowed.

    It shows some of the names; all are written to the JSON `report`, by kind.
    """
    wrong = {kind: list(names) for kind, names in problems.items() if names}
    if not wrong or allow_missing:
        return
    lines = "; ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in wrong.items())
    where = ""
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(report, json.dumps(wrong, indent=1) + "\n")
        where = f" {report} names all of them."
    raise ValueError(f"The data are not complete: {lines}.{where} --allow-missing scores what is left, and marks it.")


def read(path: str | Path) -> dict[str, Any]:
    """Read a result's JSON. Raises ValueError for another file."""
    path = Path(path)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (_FORMAT, _VERSION):
        raise ValueError(must(str(path), f"a result of `slmzoo eval` ({_FORMAT}, version {_VERSION})", "another file"))
    return content


def items_of(path: str | Path, metric: str) -> list[dict[str, str]]:
    """Read a metric's csv rows beside its JSON. Raises ValueError if they do not match the JSON."""
    content = read(path)
    if metric not in content["csv"]:
        raise ValueError(must("metric", f"one of {', '.join(content['csv'])}", metric))
    known = content["csv"][metric]
    file = Path(path).with_name(known["file"])
    if sha256_of(file) != known["sha256"]:
        raise ValueError(f"{file} was changed after {Path(path).name} was written. Run the evaluation again.")
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def table(content: Mapping[str, Any]) -> str:
    """Format the scores of a result (`read`) for a terminal."""
    level = f"{100 * content['statistics']['level']:g} %"
    cells = [("metric", "subset", "value", level, "items", "unit")]
    for row in content["scores"]:
        subset = ", ".join(f"{k}={v}" for k, v in row["subset"].items())
        value, low, high = ("-" if row[name] is None else f"{row[name]:.4f}" for name in ("value", "low", "high"))
        cells.append((row["metric"], subset, value, f"{low} .. {high}", str(row["items"]), row["unit"]))
    text = f"{content['task']}\n{columns(cells)}"
    if not content["complete"]:
        text += f"incomplete: {', '.join(f'{len(n)} {kind}' for kind, n in content['problems'].items())}\n"
    return text


def versions(*more: str) -> dict[str, str]:
    """Return the versions of Python, slmzoo and installed packages that scores may depend on."""
    found = {"python": platform.python_version()}
    for name in (*_PACKAGES, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _values(rows: Sequence[Row], column: str) -> list[str]:
    """Sort the values of a column by their leading number, those without one last."""
    numbers = {value: re.match(r"-?\d+(\.\d+)?", value) for value in {str(row[column]) for row in rows} - {"", "None"}}
    return sorted(numbers, key=lambda v: (float(found[0]) if (found := numbers[v]) else math.inf, v))


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(list(names)[:_NAMED])
    return f"{shown}, ..." if len(names) > _NAMED else shown
