"""Units of many recordings, kept in blocks as they are made: what was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from slmcore import audio, shards
from slmcore.files.digests import sha256_of
from slmcore.shards import Record
from slmcore.units import Units
from slmzoo.pipeline import Pipeline

__all__ = ["described", "fingerprint", "units_in", "units_of"]

_BLOCK = 256


def units_of(
    pipeline: Pipeline, files: Mapping[str, Path], store: Path, models: Mapping[str, str]
) -> tuple[dict[str, Units], dict[str, str]]:
    """Units of each recording by its id, and why some recordings have none (empty, silent, damaged).

    Each 256 recordings become a shard in the folder `store`; a later call takes from it what was made of the same
    files by the same models. `models`: what tells them apart, such as their digests. On the CPU.
    """
    store.mkdir(parents=True, exist_ok=True)
    found: dict[str, Units] = {}
    failed: dict[str, str] = {}
    names = sorted(files)
    with tqdm(total=len(names), desc="units", unit="file", disable=None) as progress:
        for first in range(0, len(names), _BLOCK):
            block = {name: files[name] for name in names[first : first + _BLOCK]}
            made = fingerprint(block, models)
            shard = store / f"units-{first // _BLOCK:05d}.parquet"
            records = _kept(shard, made)
            if records is None:
                records = _make(pipeline, block, failed)
                if records:
                    shards.write(shard, records, {"made_of": made})
            else:
                _make(pipeline, {n: block[n] for n in block.keys() - {r.id for r in records}}, failed)
            found.update({record.id: record.units for record in records})
            progress.update(len(block))
    return found, dict(sorted(failed.items()))


def units_in(place: str | Path) -> dict[str, Units]:
    """Units by id from a shard or a folder of shards, such as `slmzoo corpus` writes. ValueError for an id twice."""
    found: dict[str, Units] = {}
    for record in shards.read(place):
        if record.id in found:
            raise ValueError(f"{place} holds {record.id!r} twice. Give the shards of one corpus.")
        found[record.id] = record.units
    return found


def described(place: str | Path) -> dict[str, Any]:
    """What shards of units are: name and SHA-256 of the shard (or of the folder's index), and the operating point."""
    place = Path(place)
    point = json.loads(shards.provenance(place)["operating_point"])
    digest = sha256_of(place / shards.INDEX if place.is_dir() else place)
    return {"file": place.name, "sha256": digest, "operating_point": point}


def _make(pipeline: Pipeline, files: Mapping[str, Path], failed: dict[str, str]) -> list[Record]:
    records: list[Record] = []
    for name, path in sorted(files.items()):
        try:
            wav, rate = audio.load(path)
            audio.check_audible(wav, str(path), rate)
        except (OSError, ValueError) as error:
            failed[name] = " ".join(str(error).split())
            continue
        units = pipeline.units(wav, rate)
        on_cpu = Units(units.units.cpu(), units.durations.cpu(), units.frame_rate, units.operating_point)
        records.append(Record(name, on_cpu, wav.shape[1], rate))
    return records


def _kept(shard: Path, made: str) -> list[Record] | None:
    """What a block's shard holds; None if there is none, or one of other files or models."""
    try:
        return list(shards.read(shard)) if shards.provenance(shard).get("made_of") == made else None
    except (FileNotFoundError, ValueError):
        return None


def fingerprint(files: Mapping[str, Path], models: Mapping[str, str]) -> str:
    """What tells what was made of these files by these models from anything else."""
    stats = {name: (path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items()}
    return hashlib.sha256(json.dumps([stats, dict(models)], sort_keys=True).encode()).hexdigest()
