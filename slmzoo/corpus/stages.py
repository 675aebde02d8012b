"""Stages of a shard in both engines: read, encode, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from slmcore import audio, shards
from slmcore.errors import must
from slmcore.files import places
from slmcore.files.places import Place
from slmcore.shards import AnyRecord, CodesRecord, Record
from slmcore.units import Codes, Units
from slmzoo.corpus.items import Item, load

__all__ = ["BatchEncoder", "Decoded", "Encoded", "Failed", "Target", "encode", "read", "records_of", "write"]

Made = TypeVar("Made")
_OF_THE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_TOO_MUCH = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")
"""Messages of torch's out-of-memory errors, which have no type of their own on a CPU."""


class BatchEncoder(Protocol):
    """Models that encode wavs in batches: `slmzoo.corpus.models.Coder`, or a pipeline."""

    @property
    def batch_seconds(self) -> float:
        """Largest amount of audio per batch."""
        ...

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        """Group wavs into batches by their numbers of samples."""
        ...

    def units(self, wavs: Sequence[Tensor]) -> list[list[Units]] | list[list[Codes]]:
        """Encode wavs (1, samples) in one batch: results per kind of shard and wav."""
        ...


@dataclass(frozen=True)
class Failed:
    """Failed item, with the reason."""

    id: str
    audio: str
    reason: str


@dataclass(frozen=True)
class Decoded:
    """Items of a shard that are speech, with their wavs (1, samples) at the encoder's rate."""

    items: list[Item]
    wavs: list[Tensor]
    lengths: list[tuple[int, int]]
    """Original (samples, rate) of each."""
    failed: list[Failed]


@dataclass(frozen=True)
class Encoded:
    """Shard as the bytes of its files."""

    shards: list[bytes]
    """File of each operating point."""
    failures: bytes
    """A line per failed item; empty if there is none."""
    seconds: float
    """Encoded speech, seconds."""

    @property
    def failed(self) -> int:
        """Number of failed items."""
        return self.failures.count(b"\n")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Destination of shards."""

    folders: tuple[str, ...]
    """Folders or URLs, one per operating point."""
    provenance: tuple[dict[str, str], ...]
    failures: str
    """Folder of the lists of failures, a file per shard."""

    def shards(self, name: str) -> list[Place]:
        """Return the files of a shard."""
        return [places.join(folder, f"{name}.parquet") for folder in self.folders]

    def list_of_failures(self, name: str) -> Place:
        """Return the file of a shard's failures, which does not exist without any."""
        return places.join(self.failures, f"{name}.jsonl")


def read(items: Sequence[Item], sample_rate: int, roots: Iterable[str], threads: Executor) -> Decoded:
    """Decode and resample. Failures are recorded, and the others continue.

    Raises OSError if the inputs as a whole are gone: one of their folders, all of several files, or all items by a
    device error.
    """
    outcomes = list(threads.map(lambda item: _tried(lambda: _decoded(item, sample_rate)), items))
    errors = [error for error in outcomes if isinstance(error, OSError)]
    if errors:
        _check_still_there(roots)
        if len(items) > 1 and all(isinstance(outcome, FileNotFoundError) for outcome in outcomes):
            message = f"The inputs are gone: none of {len(items)} files is there, {items[0].audio} is the first."
            raise FileNotFoundError(f"{message} Run again when they are, or use another --out for another list.")
        if len(errors) == len(items) and not any(isinstance(error, _OF_THE_FILE) for error in errors):
            raise OSError(errors[0].errno, f"The inputs cannot be read ({errors[0]}). Run again when they can.")
    pairs = list(zip(items, outcomes, strict=True))
    good = [(item, *outcome) for item, outcome in pairs if not isinstance(outcome, Exception)]
    failed = [_failed(item, outcome) for item, outcome in pairs if isinstance(outcome, Exception)]
    return Decoded([item for item, _, _ in good], [wav for _, wav, _ in good], [n for _, _, n in good], failed)


def records_of(decoded: Decoded, models: BatchEncoder) -> tuple[list[list[AnyRecord]], list[Failed]]:
    """Return the records of all wavs at each point, in the order of the items; also the failures.

    A failing batch is split, so that a wav fails alone. Raises ValueError for a batch that exceeds the memory: smaller
    batches would round differently, and a shard must depend on the job alone. A single wav that is too long is a
    failure.
    """
    encoded: dict[int, list[Units | Codes]] = {}
    failed = list(decoded.failed)
    for batch in models.batches([wav.shape[1] for wav in decoded.wavs]):
        for part, made in _encoded(batch, decoded.wavs, models):
            if isinstance(made, Exception):
                failed.append(_failed(decoded.items[part[0]], made))
            else:
                encoded |= {i: [at_point[n] for at_point in made] for n, i in enumerate(part)}
    records = [[_record(decoded.items[i], made, decoded.lengths[i]) for made in encoded[i]] for i in sorted(encoded)]
    return records, failed


def encode(decoded: Decoded, models: BatchEncoder, provenance: Sequence[dict[str, str]]) -> Encoded:
    """Return the files of a shard: units of all wavs at all points, or their codes. Raises as `records_of` does."""
    records, failed = records_of(decoded, models)
    lines = (json.dumps(asdict(failure)) + "\n" for failure in sorted(failed, key=lambda failure: failure.id))
    return Encoded(
        shards=[shards.to_bytes((each[point] for each in records), made) for point, made in enumerate(provenance)],
        failures="".join(lines).encode(),
        seconds=sum(each[0].samples / each[0].sample_rate for each in records),
    )


def write(encoded: Encoded, target: Target, name: str) -> None:
    """Write the shard at all points, and its failures. Raises OSError, e.g. for a full disk."""
    if encoded.failed:
        for place in target.shards(name):  # else records of an earlier attempt could pass for those beside this list
            places.remove(place)
        places.write_bytes(target.list_of_failures(name), encoded.failures)
    for place, content in zip(target.shards(name), encoded.shards, strict=True):
        places.write_bytes(place, content)
    if not encoded.failed:
        places.remove(target.list_of_failures(name))


def _decoded(item: Item, sample_rate: int) -> tuple[Tensor, tuple[int, int]]:
    wav, sr = load(item)
    return audio.resample(wav, sr, sample_rate), (wav.shape[1], sr)


def _tried(work: Callable[[], Made]) -> Made | Exception:
    try:
        return work()
    except (OSError, ValueError, MemoryError) as error:
        return error


def _check_still_there(roots: Iterable[str]) -> None:
    for root in roots:
        # An unmounted disk leaves an empty folder.
        if not Path(root).is_dir() or not any(Path(root).iterdir()):
            raise FileNotFoundError(f"The inputs are gone: {root} is missing or empty. Run again when it is back.")


def _encoded(
    batch: list[int], wavs: Sequence[Tensor], models: BatchEncoder
) -> Iterable[tuple[list[int], list[list[Units]] | list[list[Codes]] | Exception]]:
    try:
        return [(batch, models.units([wavs[i] for i in batch]))]
    except (ValueError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_too_much(error):
            raise
        if len(batch) == 1:
            return [(batch, error)]
        if _is_too_much(error):
            remedy = "Free memory and run again, or begin with a smaller --batch-seconds and another --out."
            message = must("batch_seconds", "small enough for the device's memory", models.batch_seconds, remedy)
            raise ValueError(message) from error
    return [alone for i in batch for alone in _encoded([i], wavs, models)]


def _is_too_much(error: Exception) -> bool:
    is_reported = any(sign in str(error) for sign in _TOO_MUCH)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and is_reported)


def _record(item: Item, made: Units | Codes, length: tuple[int, int]) -> AnyRecord:
    if isinstance(made, Codes):
        return CodesRecord(item.id, made, *length, item.speaker, item.chapter)
    return Record(item.id, made, *length, item.speaker, item.chapter)


def _failed(item: Item, error: Exception) -> Failed:
    return Failed(item.id, item.audio, " ".join(str(error).split()) or type(error).__name__)
