"""Units of an evaluation's recordings, encoded by the corpus engine and kept in shards, so that it can resume."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from slmcore import shards
from slmcore.files.digests import sha256_of
from slmcore.shards import Record
from slmcore.units import Units
from slmzoo.corpus.stages import records_of
from slmzoo.evaluation.units.reading import read_recordings
from slmzoo.pipeline import Pipeline

__all__ = ["RECORDINGS_PER_SHARD", "described", "fingerprint", "units_in", "units_of"]

RECORDINGS_PER_SHARD = 256
"""Recordings whose units share a shard, the most that an interruption loses."""


def units_of(
    pipeline: Pipeline, files: Mapping[str, Path], store: Path | None, models: Mapping[str, str]
) -> tuple[dict[str, Units], dict[str, str]]:
    """Return the units of each recording by id, and why some recordings have none (empty, silent, damaged).

    Each 256 recordings become a shard in the folder `store`, reused by later calls for the same files and models.
    Without a folder nothing is kept. `models`: identity of the models, such as digests. Units are on the CPU.
    """
    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
    units: dict[str, Units] = {}
    failed: dict[str, str] = {}
    names = sorted(files)
    with tqdm(total=len(names), desc="units", unit="file", disable=None) as progress:
        for first in range(0, len(names), RECORDINGS_PER_SHARD):
            block = {name: files[name] for name in names[first : first + RECORDINGS_PER_SHARD]}
            shard = store / f"units-{first // RECORDINGS_PER_SHARD:05d}.parquet" if store is not None else None
            records, left_out = _block(_Alone(pipeline), block, shard, models)
            failed |= left_out
            units.update({record.id: record.units for record in records})
            progress.update(len(block))
    return units, dict(sorted(failed.items()))


def units_in(place: str | Path) -> dict[str, Units]:
    """Read units by id from a shard or folder of shards of `slmzoo units --out`; a ValueError for a repeated id."""
    units: dict[str, Units] = {}
    for record in shards.read(place):
        if record.id in units:
            raise ValueError(f"{place} holds {record.id!r} twice. Give the shards of one corpus.")
        units[record.id] = record.units
    return units


def described(place: str | Path) -> dict[str, Any]:
    """Identify shards of units by name, SHA-256 of the shard (or of the folder's index) and operating point."""
    place = Path(place)
    point = json.loads(shards.provenance(place)["operating_point"])
    digest = sha256_of(place / shards.INDEX if place.is_dir() else place)
    return {"file": place.name, "sha256": digest, "operating_point": point}


@dataclass(frozen=True)
class _Alone:
    """Adapter of a pipeline to the corpus engine, one recording per batch, so that units equal `Pipeline.units`."""

    pipeline: Pipeline
    batch_seconds: float = 0.0

    def batches(self, lengths: Sequence[int]) -> list[list[int]]:
        return [[i] for i in range(len(lengths))]

    def units(self, wavs: Sequence[Tensor]) -> list[list[Units]]:
        made = (self.pipeline.units(wav, self.pipeline.sample_rate) for wav in wavs)
        return [[replace(u, units=u.units.cpu(), durations=u.durations.cpu()) for u in made]]


def _block(
    models: _Alone, files: Mapping[str, Path], shard: Path | None, identity: Mapping[str, str]
) -> tuple[list[Record], dict[str, str]]:
    """Return the records of a block, kept in its shard or encoded, and why some recordings have none."""
    made_of = fingerprint(files, identity)
    kept = _kept(shard, made_of) if shard is not None else None
    if kept is not None:
        return kept, _make(models, {name: files[name] for name in files.keys() - {r.id for r in kept}})[1]
    records, failed = _make(models, files)
    if records and shard is not None:
        shards.write(shard, records, {"made_of": made_of})
    return records, failed


def _make(models: _Alone, files: Mapping[str, Path]) -> tuple[list[Record], dict[str, str]]:
    records: list[Record] = []
    failed: dict[str, str] = {}
    for part in read_recordings(files, models.pipeline.sample_rate):
        by_recording, left_out = records_of(part, models)
        records += [each for (each,) in by_recording if isinstance(each, Record)]
        failed |= {failure.id: failure.reason for failure in left_out}
    return records, failed


def _kept(shard: Path, made: str) -> list[Record] | None:
    """Return the records of a block's shard; None if there is none, or one of other files or models."""
    try:
        return list(shards.read(shard)) if shards.provenance(shard).get("made_of") == made else None
    except (FileNotFoundError, ValueError):
        return None


def fingerprint(files: Mapping[str, Path], models: Mapping[str, str]) -> str:
    """Return a fingerprint of the files and the models."""
    stats = {name: (path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items()}
    return hashlib.sha256(json.dumps([stats, dict(models)], sort_keys=True).encode()).hexdigest()
