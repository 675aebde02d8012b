"""Pairs in the layouts of other toolkits: StoryCloze, SALMon, slamkit's folders, and any csv of pairs."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slmcore.errors import must
from slmzoo.evaluation.pairs import Benchmark, Pair, found_in

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
"""The tasks of SALMon, a folder each (Maimon et al., arXiv 2409.07437)."""

_STORY = re.compile(r"(?P<story>.+)_(?P<side>correct|incorrect)")
_SALMON = re.compile(r"sample_(?P<index>\d+)_(?P<side>\d+)")
_SIDES = {"correct": "positive", "0": "positive", "incorrect": "negative", "1": "negative"}


def storycloze(folder: Path) -> Benchmark:
    """tStoryCloze or sStoryCloze, `<file>_<prefix>_{correct,incorrect}.wav`; sub-folders are voices of the stories.

    Mostafazadeh et al. (2016) as spoken by TWIST (Hassid et al., arXiv 2305.13009).
    """
    return _by_name("storycloze", folder, _STORY, "story", ())


def salmon(folder: Path) -> Benchmark:
    """SALMon, `<task>/sample_<index>_<side>.wav`: side 0 is right, 1 is wrong, others are left over.

    Raises ValueError if there is none of the tasks' folders.
    """
    if not any((folder / task).is_dir() for task in SALMON):
        raise ValueError(must(str(folder), f"a folder with one of {', '.join(SALMON)}", "another folder"))
    return _by_name("salmon", folder, _SALMON, "index", ("task",))


def slamkit(folder: Path, separator: str = "_", name: str = "pairs") -> Benchmark:
    """slamkit's folders: of two numbers (before `separator`) that follow each other, 0 and 1 say, the first is right.

    Each sub-folder with recordings is a set of its own (in-vocabulary words, or a speaker, say), and a column. Where
    numbers come twice, the two are a pair, ordered by the rest of the name: `correct` comes before `incorrect`.
    """
    files, problems = found_in(folder, deep=True)
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
    """A csv with `positive` and `negative` (paths below `audio`, or beside the csv), `item` and `voice` where given.

    The csv's stem is the benchmark's name. Rows of one item are pairs of it in several voices. `by` names further
    columns whose values have a score of their own; all columns are kept.
    """
    root = audio or path.parent
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    lacking = [name for name in ("positive", "negative", *by) if not rows or name not in rows[0]]
    if lacking:
        wanted = f"a csv with the columns {', '.join(['positive', 'negative', *by])}"
        raise ValueError(must(str(path), wanted, f"a csv without {', '.join(lacking)}"))
    pairs = [
        Pair(
            item=row.get("item") or row["positive"],
            positive=row["positive"],
            negative=row["negative"],
            voice=row.get("voice") or "",
            columns={k: v or "" for k, v in row.items() if k not in ("item", "positive", "negative", "voice", "value")},
        )
        for row in rows
    ]
    named = {name: root / name for pair in pairs for name in (pair.positive, pair.negative)}
    files = {name: file for name, file in named.items() if file.is_file()}
    return Benchmark(name=path.stem, pairs=pairs, files=files, by=tuple(by))


def _in_twos(numbers: Mapping[str, int]) -> list[list[str]]:
    """Names in groups, which are pairs if none is lost: of a number that comes twice, or of 0 and 1, 2 and 3, ...

    Or of 1 and 2, 3 and 4, ... where that leaves fewer alone.
    """

    def groups(key: Callable[[int], int]) -> list[list[str]]:
        found: dict[int, list[str]] = defaultdict(list)
        for name in sorted(numbers, key=lambda n: (numbers[n], n)):
            found[key(numbers[name])].append(name)
        return list(found.values())

    if len(set(numbers.values())) < len(numbers):
        return groups(lambda n: n)
    return max(groups(lambda n: n // 2), groups(lambda n: (n + 1) // 2), key=lambda g: sum(len(two) == 2 for two in g))


def _by_name(name: str, folder: Path, form: re.Pattern[str], key: str, by: tuple[str, ...]) -> Benchmark:
    files, problems = found_in(folder, deep=True)
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
