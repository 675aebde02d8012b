"""Pairs in the layouts of other toolkits: StoryCloze, SALMon, slamkit's folders, and any csv of pairs."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from slmcore.errors import must
from slmzoo.evaluation.likelihood.pairs import Benchmark, Pair
from slmzoo.evaluation.recordings import recordings_in
from slmzoo.evaluation.report.results import CLUSTER, GROUP

__all__ = ["SALMON", "csv_of_pairs", "salmon", "slamkit", "storycloze"]

SALMON = (
    "bg_alignment",
    "bg_all_consistency",
    "bg_domain_consistency",
    "gender_consistency",
    "rir_consistency",
    "sentiment_alignment",
    "sentiment_consistency",
    "speaker_consistency",
)
"""Tasks of SALMon, a folder each (Maimon et al., arXiv 2409.07437)."""

_STORY = re.compile(r"(?P<story>.+)_(?P<side>correct|incorrect)")
_SALMON = re.compile(r"sample_(?P<index>\d+)_(?P<side>\d+)")
_OF_PAIRS = ("item", "positive", "negative", "voice")
_OF_RESULTS = ("value", "weight", "pairs", CLUSTER, GROUP)
_SIDES = {"correct": "positive", "0": "positive", "incorrect": "negative", "1": "negative"}


def storycloze(folder: Path) -> Benchmark:
    """Read tStoryCloze or sStoryCloze, `<file>_<prefix>_{correct,incorrect}.wav`; sub-folders are voices.

    Mostafazadeh et al. (2016) as spoken by TWIST (Hassid et al., arXiv 2305.13009).
    """
    return _by_name("storycloze", folder, _STORY, "story", ())


def salmon(folder: Path) -> Benchmark:
    """Read SALMon, `<task>/sample_<index>_<side>.wav`: side 0 is right, 1 is wrong, others are unused.

    Raises ValueError if none of the tasks' folders exists.
    """
    if not any((folder / task).is_dir() for task in SALMON):
        raise ValueError(must(str(folder), f"a folder with one of {', '.join(SALMON)}", "another folder"))
    return _by_name("salmon", folder, _SALMON, "index", ("task",))


def slamkit(folder: Path, separator: str = "_", name: str = "pairs") -> Benchmark:
    """Read slamkit's folders: of two consecutive numbers (before `separator`), such as 0 and 1, the first is right.

    Each sub-folder with recordings is a set of its own (e.g. in-vocabulary words, or a speaker), and a column. If
    numbers occur twice, the two are a pair, ordered by the rest of the name: `correct` before `incorrect`.
    """
    files, problems = recordings_in(folder, deep=True)
    sets: dict[str, list[str]] = defaultdict(list)
    odd: list[str] = []
    for file in files:
        path = Path(file)
        target = sets[path.parent.as_posix()] if path.name.split(separator)[0].isdecimal() else odd
        target.append(file)
    pairs: list[Pair] = []
    for part, names in sorted(sets.items()):
        groups = _in_twos({name: int(Path(name).name.split(separator)[0]) for name in names})
        odd += [name for group in groups if len(group) != 2 for name in group]
        column = {} if part == "." else {"set": part}
        two = (group for group in groups if len(group) == 2)
        pairs += [Pair(item=right, positive=right, negative=wrong, columns=column) for right, wrong in two]
    by = ("set",) if any(pair.columns for pair in pairs) else ()
    return Benchmark(name=name, pairs=pairs, files=files, by=by, problems={**problems, "unpaired": sorted(odd)})


def csv_of_pairs(path: Path, audio: Path | None = None, by: Sequence[str] = ()) -> Benchmark:
    """Read a csv with `positive` and `negative` (paths below `audio`, or beside the csv), and maybe `item`, `voice`.

    The csv's stem is the benchmark's name. Rows of one item are its pairs in several voices. `by` names further columns
    whose values get a score of their own; all columns are kept. Duplicate rows, and rows with one recording on both
    sides, are problems. Raises ValueError for a csv that lacks a column, or has one of a result's.
    """
    root = audio or path.parent
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    named = list(rows[0]) if rows else []
    _check_columns(path, named, by)
    more = [name for name in named if name not in _OF_PAIRS]
    pairs: dict[tuple[str, str, str], Pair] = {}
    repeated: list[str] = []
    same: list[str] = []
    for number, row in enumerate(rows, 1):
        item, right, wrong = row.get("item") or row["positive"], row["positive"], row["negative"]
        if right == wrong:
            same.append(f"row {number}: {right}")
        elif (item, right, wrong) in pairs:
            repeated.append(f"row {number}: {right}, {wrong}")
        else:
            columns = {name: row[name] or "" for name in more}
            pair = Pair(item=item, positive=right, negative=wrong, voice=row.get("voice") or "", columns=columns)
            pairs[item, right, wrong] = pair
    benchmark = Benchmark(name=path.stem, pairs=list(pairs.values()), files={}, by=tuple(by))
    files = {name: root / name for name in benchmark.ids if (root / name).is_file()}
    return replace(benchmark, files=files, problems={"repeated": repeated, "same on both sides": same})


def _check_columns(path: Path, named: Sequence[str], by: Sequence[str]) -> None:
    lacking = [name for name in ("positive", "negative") if name not in named]
    if lacking:
        wanted = "a csv with the columns positive, negative"
        raise ValueError(must(str(path), wanted, f"a csv without {', '.join(lacking)}"))
    taken = [name for name in named if name in _OF_RESULTS]
    if taken:
        wanted = f"a csv without columns named {', '.join(_OF_RESULTS)}"
        raise ValueError(must(str(path), wanted, f"a csv with {', '.join(taken)}", "Give them another name."))
    more = [name for name in named if name not in _OF_PAIRS]
    unknown = [name for name in by if name not in more]
    if unknown:
        raise ValueError(must("by", f"of {path}'s columns ({', '.join(more) or 'none but those of pairs'})", unknown))


def _in_twos(numbers: Mapping[str, int]) -> list[list[str]]:
    """Group names into pairs: of a number that occurs twice, or of 0 and 1, 2 and 3, ...

    Or of 1 and 2, 3 and 4, ... if that leaves fewer unpaired.
    """

    def groups(key: Callable[[int], int]) -> list[list[str]]:
        members: dict[int, list[str]] = defaultdict(list)
        for name in sorted(numbers, key=lambda n: (numbers[n], n)):
            members[key(numbers[name])].append(name)
        return list(members.values())

    if len(set(numbers.values())) < len(numbers):
        return groups(lambda n: n)
    return max(groups(lambda n: n // 2), groups(lambda n: (n + 1) // 2), key=lambda g: sum(len(two) == 2 for two in g))


def _by_name(name: str, folder: Path, form: re.Pattern[str], key: str, by: tuple[str, ...]) -> Benchmark:
    files, problems = recordings_in(folder, deep=True)
    groups: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    other: list[str] = []
    for file in files:
        path = Path(file)
        match = form.fullmatch(path.name)
        if match is None or match["side"] not in _SIDES:
            other.append(file)
        else:
            groups[path.parent.as_posix(), match[key]][_SIDES[match["side"]]] = file
    pairs = [
        Pair(
            item=f"{part}/{item}" if by else item,
            voice="" if by or part == "." else part,
            columns={"task": part} if by else {},
            **sides,
        )
        for (part, item), sides in sorted(groups.items())
        if len(sides) == 2
    ]
    single = sorted(file for sides in groups.values() if len(sides) == 1 for file in sides.values())
    return Benchmark(
        name=name, pairs=pairs, files=files, by=by, problems={**problems, "unpaired": single, "extra": sorted(other)}
    )
