"""The ZeroSpeech 2021 layout: gold files of sWUGGY and sBLIMP, and submissions.

Nguyen et al., "The Zero Resource Speech Benchmark 2021" (arXiv 2011.11588). Rules are those of the official scorer,
except that pairs of both tasks are found by their keys: the official sBLIMP scorer pairs the n-th right row with the
n-th wrong one, and so mispairs gold files in another order.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from slmcore.errors import must
from slmcore.files.digests import write_atomically
from slmzoo.evaluation.likelihood.pairs import Benchmark, Pair
from slmzoo.evaluation.recordings import recordings_in

__all__ = ["BANDS", "frequency_band", "read_gold", "read_scores", "sblimp", "swuggy", "write_submission"]

BANDS = {"oov": 1, "1-4": 5, "5-19": 20, "20-99": 100, "100+": math.inf}
"""Bands of a word's count in LibriSpeech, with their upper limits."""

_KEYS = {"lexical": ("id",), "syntactic": ("type", "subtype", "id")}
_COLUMNS = {
    "lexical": ("filename", "id", "voice", "frequency", "word", "length", "correct"),
    "syntactic": ("filename", "id", "voice", "type", "subtype", "transcription", "correct"),
}


def swuggy(folder: Path, subset: str = "dev") -> Benchmark:
    """Read sWUGGY from the dataset in `folder`: words and non-words, by vocabulary, frequency and length."""
    by = ("in_vocabulary", "frequency_band", "length")
    return _benchmark(f"swuggy-{subset}", "lexical", folder / "lexical" / subset, by)


def sblimp(folder: Path, subset: str = "dev") -> Benchmark:
    """Read sBLIMP from the dataset in `folder`: grammatical and ungrammatical sentences, by type."""
    return _benchmark(f"sblimp-{subset}", "syntactic", folder / "syntactic" / subset, ("type",))


def frequency_band(frequency: str) -> str:
    """Return the band of a word's count in LibriSpeech, lower limits included; empty if the count is unknown.

    Raises ValueError for anything but a count.
    """
    if not frequency:
        return ""
    count = _number(frequency)
    if not 0 <= count < math.inf:
        raise ValueError(must("frequency", "a count >= 0", frequency, "Leave it empty where it is not known."))
    return next(name for name, end in BANDS.items() if count < end)


def read_gold(path: Path, task: str) -> tuple[list[Pair], dict[str, list[str]]]:
    """Read the pairs of a gold csv ("lexical" or "syntactic"), rows in any order; also return what could not be paired.

    "duplicated" names recordings that occur more than once, "unpaired" those whose word or sentence lacks one right and
    one wrong recording in the same voice. Raises ValueError for a missing column or an invalid value.
    """
    rows = _rows(path, task)
    twice = {name for name, times in Counter(row["filename"] for row in rows).items() if times > 1}
    groups: dict[tuple[str, ...], dict[str, list[dict[str, str]]]] = defaultdict(lambda: {"1": [], "0": []})
    for row in rows:
        if row["filename"] not in twice:
            groups[(*(row[k] for k in _KEYS[task]), row["voice"])][row["correct"]].append(row)
    pairs: list[Pair] = []
    unpaired: list[str] = []
    for (*item, voice), sides in groups.items():
        if len(sides["1"]) != 1 or len(sides["0"]) != 1:
            unpaired += [row["filename"] for side in sides.values() for row in side]
            continue
        (right,), (wrong,) = sides["1"], sides["0"]
        ids = {"positive": right["filename"], "negative": wrong["filename"]}
        pairs.append(Pair(item=" ".join(item), voice=voice, columns=_columns(task, right, wrong), **ids))
    return pairs, {"duplicated": sorted(twice), "unpaired": sorted(unpaired)}


def read_scores(path: Path) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Read a submission's `<recording> <score>` lines; also return recordings that occur twice or have no number.

    Raises ValueError for a line of another form.
    """
    fields: dict[str, list[str]] = defaultdict(list)
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        parts = line.split()
        if len(parts) not in (0, 2):
            raise ValueError(must(f"line {number} of {path}", "a recording and its score, one space between", line))
        if parts:
            fields[parts[0]].append(parts[1])
    scores = {name: _number(values[0]) for name, values in fields.items() if len(values) == 1}
    problems = {
        "duplicated": [name for name, values in fields.items() if len(values) > 1],
        "not a number": [name for name, value in scores.items() if math.isnan(value)],
    }
    return {name: value for name, value in scores.items() if not math.isnan(value)}, problems


def write_submission(folder: Path, scores: Mapping[tuple[str, str], Mapping[str, float]]) -> None:
    """Write `<task>/<subset>.txt` for each (task, subset), and `meta.yaml` and `params.yaml` unless they exist.

    The system's description in `meta.yaml` is left empty, except the year, for the submitter to fill in.
    """
    for (task, subset), of in scores.items():
        (folder / task).mkdir(parents=True, exist_ok=True)
        lines = (f"{name} {value!r}\n" for name, value in of.items())
        write_atomically(folder / task / f"{subset}.txt", "".join(lines))
    for name, content in (("meta.yaml", _meta()), ("params.yaml", {"quiet": False})):
        if not (folder / name).exists():
            write_atomically(folder / name, _yaml(content))


def _benchmark(name: str, task: str, folder: Path, by: tuple[str, ...]) -> Benchmark:
    pairs, problems = read_gold(folder / "gold.csv", task)
    files, duplicates = recordings_in(folder)
    both = {kind: [*problems.get(kind, []), *duplicates.get(kind, [])] for kind in {*problems, *duplicates}}
    return Benchmark(name=name, pairs=pairs, files=files, by=by, problems=both)


def _rows(path: Path, task: str) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        lacking = [name for name in _COLUMNS[task] if name not in (reader.fieldnames or ())]
        if lacking:
            wanted = f"a csv with the columns {', '.join(_COLUMNS[task])}"
            raise ValueError(must(str(path), wanted, f"a csv without {', '.join(lacking)}"))
        rows = [{name: (value or "").strip() for name, value in row.items() if name} for row in reader]
    for number, row in enumerate(rows, 1):
        if row["correct"] not in ("0", "1") or not row["filename"]:
            raise ValueError(must(f"row {number} of {path}", "a recording with correct 0 or 1", row))
        try:
            frequency_band(row["frequency"] if task == "lexical" else "")
        except ValueError as error:
            raise ValueError(f"Row {number} of {path}: {error}") from error
    return rows


def _columns(task: str, right: Mapping[str, str], wrong: Mapping[str, str]) -> dict[str, str]:
    if task == "syntactic":
        texts = {"sentence": right["transcription"], "non_sentence": wrong["transcription"]}
        return {"type": right["type"], "subtype": right["subtype"], **texts}
    band = frequency_band(right["frequency"])
    return {
        "word": right["word"],
        "non_word": wrong["word"] or wrong.get("phones", ""),
        "frequency": right["frequency"],
        "frequency_band": band,
        "in_vocabulary": "" if not band else "no" if band == "oov" else "yes",
        "length": right["length"],
    }


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _meta() -> dict[str, object]:
    empty = dict.fromkeys(("author_label", "authors", "paper_title", "paper_url", "institution", "team"), "")
    return {
        "username": "",
        "benchmark_name": "sLM21",
        "model_info": {"system_description": "", "train_set": "", "gpu_budget": ""},
        "publication": {**empty, "publication_year": date.today().year},
        "open_source": True,
        "code_url": "",
    }


def _yaml(content: Mapping[str, object], indent: str = "") -> str:
    """Format nested mappings as YAML, with values as in JSON."""
    lines: Iterable[str] = (
        f"{indent}{name}:\n{_yaml(value, indent + '  ')}"
        if isinstance(value, Mapping)
        else f"{indent}{name}: {json.dumps(value)}\n"
        for name, value in content.items()
    )
    return "".join(lines)
