"""Corpus job on disk: manifest, settings, finished shards, and final indices.

    OUT/job.json            request; another request is refused
    OUT/manifest.jsonl      utterances, fixed at the start of the job; only an update changes them
    OUT/shard-*.parquet     one operating point; OUT/k500-lmbda4500/shard-*.parquet and the like for several
    OUT/failed/shard-*.jsonl, OUT/failed.jsonl      failed utterances: id, audio, reason
    OUT/index.json          (per operating point) appears when all shards are complete

A shard is done when its records and failures together are its planned items.

Paths in them are absolute, so that a job can be resumed from any folder.

An update appends new utterances to the manifest, in shards of their own, and deletes the shards with removed or
replaced utterances, which are encoded again without them or in their present state. The bytes of all other shards stay
the same. An update may be interrupted at any time: shards are deleted before the manifest changes, so that no old
record outlives it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from slmcore import shards
from slmcore.files import places
from slmcore.files.rows import shown
from slmcore.units import OperatingPoint
from slmzoo.corpus import changes, plan, sources
from slmzoo.corpus.items import named_apart
from slmzoo.corpus.plan import Planned
from slmzoo.corpus.sources import Corpus
from slmzoo.corpus.stages import Target

__all__ = ["SECONDS_TO_WAIT", "Job", "begin", "begun", "difference", "locked"]

log = logging.getLogger(__name__)
_FORMAT = "slmzoo-corpus/1"
SECONDS_TO_WAIT = 10.0
"""Time for the processes of a killed job to end and release its folder."""
_COMPARED = ("shard_seconds", "rate", "batch_seconds")
_JOB, _MANIFEST, _FAILURES, _FAILED = "job.json", "manifest.jsonl", "failed", "failed.jsonl"


@dataclass(frozen=True, kw_only=True)
class Job:
    """Corpus job: inputs, models and output folder."""

    out: str
    target: Target
    roots: tuple[str, ...]
    """Folders of the inputs; the job stops if they disappear."""
    shards: tuple[Planned, ...]
    left_out: dict[str, int]
    """Numbers of input files that are not audio, by extension."""

    @property
    def manifest(self) -> places.Place:
        """Path of the manifest."""
        return places.join(self.out, _MANIFEST)

    def pending(self, retry_failed: bool = False) -> list[Planned]:
        """Return the remaining shards: unfinished ones, and with `retry` those with failures.

        Raises ValueError for a shard of other provenance.
        """
        here = [set(places.names(folder)) for folder in self.target.folders]
        failures = set(places.names(self.target.failures))
        return [shard for shard in self.shards if not self._is_done(shard, here, failures, retry_failed)]

    def finish(self) -> list[dict[str, Any]]:
        """Write `failed.jsonl` and, once all shards are complete, their indices; return these, one per point.

        Raises ValueError for a shard that is damaged, with the remedy.
        """
        lists = [places.join(self.target.failures, name) for name in places.names(self.target.failures)]
        places.write_bytes(places.join(self.out, _FAILED), b"".join(places.read_bytes(place) for place in lists))
        try:
            more = {"left_out": self.left_out} if self.left_out else {}
            return [shards.write_index(folder, more) for folder in self.target.folders]
        except ValueError as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{reason} Delete that shard and run the same command again: it is made anew.") from error

    def failed(self) -> int:
        """Number of failed items, after `finish`."""
        return len(places.read_bytes(places.join(self.out, _FAILED)).splitlines())

    def _is_done(self, shard: Planned, here: Sequence[set[str]], failures: set[str], retry_failed: bool) -> bool:
        failed = 0
        if f"{shard.name}.jsonl" in failures:
            failed = len(places.read_bytes(self.target.list_of_failures(shard.name)).splitlines())
        if any(f"{shard.name}.parquet" not in names for names in here) or (failed and retry_failed):
            return False
        for place, expected in zip(self.target.shards(shard.name), self.target.provenance, strict=True):
            try:
                rows, provenance = shards.summary(place)
            except ValueError as error:
                log.warning("%s It is made anew.", error)
                return False
            if provenance != expected:
                raise ValueError(f"{place} was made otherwise ({difference(provenance, expected)}). Use another --out.")
            if rows + failed != shard.items:
                return False
        return True


def begin(
    out: str,
    corpus: Sequence[str],
    provenance: Sequence[dict[str, str]],
    *,
    shard_seconds: float | None = None,
    rate: float | None = None,
    batch_seconds: float | None = None,
    update: bool = False,
) -> Job:
    """Open the job in the folder or URL `out`, or start a new one by listing the corpus.

    `shard_seconds`: speech per shard, None: by the corpus's size; `rate`: units per second that lambda was fitted to;
    `batch_seconds`: largest amount of audio per batch, None: the device's default; `update`: apply additions, removals
    and replacements since the start of the job, which are otherwise only reported. Raises ValueError if the folder
    belongs to another job, or holds shards without a job.
    """
    looked = Corpus(corpus)
    wish = {"format": _FORMAT, "corpus": looked.named, "provenance": [dict(made) for made in provenance]}
    wish |= {"shard_seconds": shard_seconds, "rate": rate, "batch_seconds": batch_seconds}
    failures = str(places.join(out, _FAILURES))
    target = Target(folders=_folders(out, provenance), provenance=tuple(wish["provenance"]), failures=failures)
    earlier = begun(out)
    kept = _resumed(out, looked, earlier, wish, target, update) if earlier else _new(out, looked, wish)
    _make_ready(target)
    return Job(
        out=out,
        target=target,
        roots=tuple(kept["roots"]),
        shards=tuple(plan.cut(places.join(out, _MANIFEST), shard_seconds)),
        left_out=kept.get("left_out", {}),
    )


def _new(out: str, looked: Corpus, wish: dict[str, Any]) -> dict[str, Any]:
    """List the corpus in a manifest; return the job's record. Raises a ValueError for shards without a job."""
    if any(name.endswith(".parquet") for name in places.names(out)):
        raise ValueError(f"{out} holds shards, but no {_JOB} says what they are. Use another --out.")
    plan.write_manifest(places.join(out, _MANIFEST), named_apart(looked.items()))
    return _kept(out, looked, wish)


def _resumed(
    out: str, looked: Corpus, earlier: dict[str, Any], wish: dict[str, Any], target: Target, update: bool
) -> dict[str, Any]:
    """Return the record of an `earlier` job, updated if requested."""
    _check_same(out, earlier, wish)
    if update:
        return _updated(out, looked, {**earlier, **wish}, target)
    _tell_changes(out, looked, earlier)
    return earlier


def _kept(out: str, looked: Corpus, wish: dict[str, Any]) -> dict[str, Any]:
    """Write the record of a job, with the findings of its listing, and return it."""
    roots = sources.roots(looked.named, plan.items(places.join(out, _MANIFEST)))
    met = {"lists": looked.lists, "left_out": dict(sorted(looked.left_out.counts.items()))}
    kept = {**wish, "roots": roots, **met}
    places.write_bytes(places.join(out, _JOB), (json.dumps(kept, indent=1) + "\n").encode())
    if looked.left_out.counts:
        log.info("Left out, since not audio: %s.", looked.left_out)
    return kept


def _updated(out: str, looked: Corpus, kept: dict[str, Any], target: Target) -> dict[str, Any]:
    """Update the manifest, and delete obsolete shards; return the job's record."""
    manifest = places.join(out, _MANIFEST)
    merged = changes.merged(looked, plan.entries(manifest), kept.get("lists"))
    log.info("%s: %s.", out, merged.changes)
    if merged.changes:
        for folder in target.folders:
            places.remove(places.join(folder, shards.INDEX))  # no reader may take half of an update for all
        for shard in plan.cut(manifest, kept["shard_seconds"]):
            if any(item.id in merged.stale for item in plan.items_of(manifest, shard)):
                for place in (*target.shards(shard.name), target.list_of_failures(shard.name)):
                    places.remove(place)
    plan.write_manifest(manifest, merged.items)
    return _kept(out, looked, kept)


def _tell_changes(out: str, looked: Corpus, kept: dict[str, Any]) -> None:
    """Report changes since the start of the job. Raises a ValueError if the corpus seems to be another folder's."""
    differences = changes.seen(looked, plan.items(places.join(out, _MANIFEST)), kept.get("lists"))
    moved = kept["corpus"] != looked.named and any(not _is_fixed(source) for source in kept["corpus"])
    if moved and (differences.removed or differences.replaced):
        where = f"{out} was begun with the relative places {', '.join(kept['corpus'])}, and not with these files"
        raise ValueError(f"{where} ({differences}). Run it where it was begun, give --update, or use another --out.")
    if differences:
        log.warning("Since %s was begun, its inputs changed: %s. Give --update to take them.", out, differences)


def _make_ready(target: Target) -> None:
    """Make the folders, and remove temporaries of killed processes."""
    for folder in (*target.folders, target.failures):
        places.make_folder(folder)
        for name in places.names(folder):
            if name.startswith(".") and name.endswith(".part"):
                places.remove(places.join(folder, name))


def begun(out: str) -> dict[str, Any]:
    """Return the request of the job in a folder; empty without one. Raises ValueError for a damaged `job.json`."""
    place = places.join(places.plain(out), _JOB)
    if not places.exists(place):
        return {}
    try:
        request = json.loads(places.read_bytes(place))
        if request["format"] == _FORMAT:
            return request
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"{place} is damaged or of another version than {_FORMAT}. Use another --out.")


@contextmanager
def locked(out: str) -> Iterator[None]:
    """Make the folder and lock it; the system releases the lock if the process dies. A URL cannot be locked."""
    places.make_folder(out)
    if places.is_remote(out):
        yield
        return
    lock = FileLock(str(Path(out) / ".lock"))
    try:
        lock.acquire(timeout=SECONDS_TO_WAIT)
    except Timeout:
        raise ValueError(f"Another job is writing to {out}. Wait for it, or use another --out.") from None
    try:
        yield
    finally:
        lock.release()


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Describe the entries of `one` that differ in `other`; empty if none do."""
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    return ", ".join(f"{name} was {one.get(name)}, now {other.get(name)}" for name in names)


def _folders(out: str, provenance: Sequence[dict[str, str]]) -> tuple[str, ...]:
    if len(provenance) == 1:
        return (out,)
    points = [OperatingPoint.from_json(made["operating_point"]) for made in provenance]
    return tuple(str(places.join(out, f"k{point.k}-lmbda{shown(point.lmbda)}")) for point in points)


def _check_same(out: str, earlier: dict[str, Any], wish: dict[str, Any]) -> None:
    if len(earlier["provenance"]) == len(wish["provenance"]):
        pairs = zip(earlier["provenance"], wish["provenance"], strict=True)
        differences = [difference(a, b) for a, b in pairs if a != b]
    else:
        differences = ["another number of operating points"]
    differences.append(difference(*({n: w.get(n) for n in _COMPARED} for w in (earlier, wish))))
    if Corpus(earlier["corpus"]).named != wish["corpus"]:
        differences.append(difference({"corpus": earlier["corpus"]}, {"corpus": wish["corpus"]}))
    summary = "; ".join(filter(None, differences))
    if summary:
        raise ValueError(f"{out} was begun otherwise ({summary}). Ask for the same, or use another --out.")


def _is_fixed(source: str) -> bool:
    """Whether a source is independent of the working folder."""
    return places.is_remote(source) or Path(source).is_absolute() or sources.absolute(source) == source
