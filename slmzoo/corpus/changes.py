"""Changes of a corpus since the start of its job: files added, removed or replaced."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from slmcore.files import places
from slmzoo.corpus import huggingface, sources
from slmzoo.corpus.items import Item, as_text, named_apart, probable_seconds
from slmzoo.corpus.sources import Corpus, File

__all__ = ["Changes", "Merged", "merged", "seen"]

Key = tuple[object, ...]


@dataclass(frozen=True)
class Changes:
    """Numbers of files, or of utterances."""

    added: int = 0
    removed: int = 0
    replaced: int = 0

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.replaced)

    def __str__(self) -> str:
        return f"{self.added} added, {self.removed} removed, {self.replaced} replaced"


@dataclass(frozen=True)
class Merged:
    """Updated manifest."""

    items: list[Item]
    """Utterances of the manifest in their order, removed ones marked, then those added."""
    stale: frozenset[str]
    """Names of the utterances whose records are obsolete."""
    changes: Changes
    """Numbers of utterances."""


def seen(corpus: Corpus, items: Iterable[Item], lists: dict[str, str | None] | None) -> Changes:
    """Count the local files that changed, by their sizes and times, without opening any.

    `items` are those of the manifest, `lists` the stamps of the lists and tars it was made from; None for a job without
    stamps, for which only the sizes of single files are known.
    """
    now = {file.place: file for file in corpus.files()}
    then: dict[str, Item | None] = dict.fromkeys(lists or {})
    for item in items:
        if item.row is None and not places.is_remote(item.audio):
            then[sources.absolute(item.audio)] = item
    added = sum(place not in then and (lists is not None or not _is_text(place)) for place in now)
    states = [_state(now.get(place) or sources.look(place), item, place, lists) for place, item in then.items()]
    return Changes(added, states.count("removed"), states.count("replaced"))


def merged(corpus: Corpus, manifest: Iterable[Item], lists: dict[str, str | None] | None) -> Merged:
    """Update the manifest to the present content of `corpus`, listing all of it. Raises as `Corpus.items`.

    An utterance is the same if it is the same part of a file of the same path, and replaced if the file, speaker or
    chapter changed. It keeps its name. Data sets, and files in object stores named by a list, have no stamps, so that
    replacements go unnoticed. Arguments as for `seen`.
    """
    entries, stamped = list(manifest), lists is not None
    waiting: dict[Key, deque[int]] = {}
    for number, item in enumerate(entries):
        if not item.removed:
            waiting.setdefault(_key(item, stamped), deque()).append(number)
    added: list[Item] = []
    replaced: set[str] = set()
    for item in corpus.items():
        if not (numbers := waiting.get(_key(item, stamped))):
            added.append(item)
            continue
        number = numbers.popleft()
        before = entries[number]
        entries[number] = _renewed(before, item)
        if _is_replaced(before, item, stamped):
            replaced.add(before.id)
    gone = [number for numbers in waiting.values() for number in numbers]
    removed = {entries[number].id for number in gone}
    for number in gone:
        entries[number] = replace(entries[number], removed=True)
    changes = Changes(len(added), len(removed), len(replaced))
    return Merged([*entries, *_new(added, entries)], frozenset(removed | replaced), changes)


def _is_text(place: str) -> bool:
    """Whether it is a list, unknown to a job without stamps; tars are named in the manifest."""
    return sources.is_list(place) and not place.lower().endswith(".tar")


def _new(added: Iterable[Item], entries: list[Item]) -> Iterator[Item]:
    """Give added utterances unique names, and the number of this update."""
    number = 1 + max((item.update for item in entries), default=0)
    taken = {item.id for item in entries if not item.removed}
    return (replace(item, update=number) for item in named_apart(added, taken))


def _key(item: Item, stamped: bool) -> Key:
    """Return the identity of an utterance; jobs without stamps know only offsets in tars."""
    place = huggingface.absolute(item.audio) if item.row is not None else sources.absolute(item.audio)
    return place, item.row, item.member if stamped else item.offset, item.start, item.seconds, item.channel


def _renewed(before: Item, now: Item) -> Item:
    """Return an utterance in its present state, with its former name and its length in the shard plan."""
    labels = {"speaker": as_text(now.speaker), "chapter": as_text(now.chapter)}
    return replace(now, id=before.id, probable=before.probable, update=before.update, **labels)


def _is_replaced(before: Item, now: Item, stamped: bool) -> bool:
    relabelled = (before.speaker, before.chapter) != (as_text(now.speaker), as_text(now.chapter))
    return relabelled or (before.stamp != now.stamp if stamped else before.probable != now.probable)


def _state(now: File, item: Item | None, place: str, lists: dict[str, str | None] | None) -> str:
    """Return "same", "removed" or "replaced" for an earlier file."""
    before = item.stamp if item is not None else (lists or {}).get(place)
    if lists is not None:
        return "same" if now.stamp == before else "removed" if now.stamp is None else "replaced"
    if now.stamp is None:
        return "removed"
    if item is None or item.offset is not None or not now.name:  # a tar, or named in a list: its size was not kept
        return "same"
    return "same" if item.probable == probable_seconds(place, now.size) else "replaced"
