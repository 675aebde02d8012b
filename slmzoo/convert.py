"""Conversion of published `.pt` and `.ckpt` files to the project's self-describing safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from slmcore.errors import CheckpointError, must
from slmcore.files import registry
from slmcore.files.checkpoint import BARE_WEIGHTS, Checkpoint, is_state_dict, read, save
from slmcore.files.content import is_safetensors
from slmcore.files.digests import sha256_of
from slmzoo.kinds import Kind
from slmzoo.systems import kinds

__all__ = ["convert", "published"]

_MOST_SHOWN = 5


def convert(source: str | Path, target: str | Path, kind: str | None = None) -> str:
    """Convert the published file `source` to the safetensors file `target`, in its precision; return its kind.

    The kind is recognised by content if not given. A file of the table, identified by its SHA-256, keeps its operating
    point, licence and origin; of others only name and digest are recorded. `target` is replaced if it exists. Raises
    ValueError for wrong names, CheckpointError (a ValueError) for a file of unknown format.
    """
    source, target = Path(source), Path(target)
    known = _published_kinds()
    if kind is not None and kind not in known:
        raise ValueError(must("kind", f"one of {', '.join(known)}", kind))
    if source.suffix.lower() == ".safetensors" or (source.is_file() and is_safetensors(source)):
        if source.is_file():
            read(source, kind, published)  # bare weights are refused with the way to save them
        raise ValueError(must("source", "a published .pt or .ckpt file", str(source), "It is safetensors already."))
    if target.suffix != ".safetensors" or not target.parent.is_dir():
        raise ValueError(must("target", "a .safetensors file in an existing folder", str(target)))
    found = _found(source, kind, known)
    save(target, _with_origin(found, source))
    return found.kind


def _found(source: Path, kind: str | None, known: Mapping[str, Kind]) -> Checkpoint:
    """Read a published file of a kind, or of the kind recognised by name or content."""
    archived = [name for name, each in known.items() if each.archives and source.name.endswith(each.archives)]
    chosen = kind or (archived[0] if archived else None)
    if chosen is None or known[chosen].reader is None:
        found = read(source, kind, partial(published if chosen is None else known[chosen].translate, path=source))
        if known[found.kind].reader is None:
            return found
        chosen = found.kind
    return known[chosen].read(source)


def published(obj: Any, path: Path | None = None) -> Checkpoint:
    """Translate the content of any published file, with a config beside `path`; CheckpointError for another file."""
    kinds_known = _published_kinds().values()
    for kind in kinds_known:
        if kind.knows(obj):
            return kind.translate(obj, path)
    keys = set(obj) if isinstance(obj, Mapping) else set()
    if is_state_dict(obj):
        raise CheckpointError(f"This file cannot be converted: {BARE_WEIGHTS}")
    known = "; ".join(f"{kind.name}: {', '.join(sorted(kind.keys))}" for kind in kinds_known if kind.keys)
    held = f"{sorted(map(str, keys))[:_MOST_SHOWN]}" + (
        f" and {len(keys) - _MOST_SHOWN} more" if len(keys) > _MOST_SHOWN else ""
    )
    raise CheckpointError(f"This file holds {held}, but a published one has the keys of {known}.")


def _published_kinds() -> dict[str, Kind]:
    """Return the kinds with a published format of their own."""
    return {name: kind for name, kind in kinds().items() if kind.translator is not None or kind.reader is not None}


def _with_origin(found: Checkpoint, source: Path) -> Checkpoint:
    digits = sha256_of(source)
    provenance = {**found.provenance, "converted_from": source.name, "sha256": digits}
    for row in registry.rows():
        if row.sha256 and digits.startswith(row.sha256):
            provenance |= {"licence": row.licence, "origin": row.origin}
            return replace(found, provenance=provenance, operating_point=row.operating_point)
    return replace(found, provenance=provenance)
