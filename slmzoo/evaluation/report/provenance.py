"""Provenance of results: names and digests of the models of a pipeline, and of models from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from slmcore.files.digests import sha256_of
from slmcore.files.fetch import verify
from slmcore.files.rows import Row
from slmzoo.evaluation.optional import need
from slmzoo.evaluation.speech import ctranslate
from slmzoo.evaluation.speech.speakers import STAND_IN
from slmzoo.kinds import Role
from slmzoo.pipeline import Pipeline
from slmzoo.systems import kinds

__all__ = ["identity", "models_of", "outside"]

_WEIGHTS = (".safetensors", ".bin")


def outside(name: str) -> dict[str, str]:
    """Identify a model of `recogniser`, `text_model` or `speaker_model`: its name, and version or digests.

    The version of pocketsphinx, the SHA-256 of an n-gram model's text or of each file of weights in a folder, or the
    revision (commit) on transformers' hub.
    """
    if name == "pocketsphinx":
        try:
            return {"name": name, "version": version(name)}
        except PackageNotFoundError:
            return {"name": name}
    if name == STAND_IN:
        return {"name": name}
    if name.startswith("ngram:"):
        return {"name": name, "sha256": sha256_of(Path(name.removeprefix("ngram:")))}
    folder = ctranslate.folder_of(name) if name == ctranslate.NAME else Path(name)
    if folder.is_dir():
        files = sorted(path for path in folder.iterdir() if path.suffix in _WEIGHTS)
        return {"name": name, **{path.name: sha256_of(path) for path in files}}
    config = need("transformers", f"The model {name}").AutoConfig.from_pretrained(name)
    return {"name": name, "revision": getattr(config, "_commit_hash", None) or "unknown"}


def models_of(
    sources: Mapping[str, Row], roles: Collection[Role] = (), precision: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return zoo, file, SHA-256 and `precision` of the models of a pipeline's rows (`Pipeline.sources`), by kind.

    Only those of `roles`, if any are named. Raises what `slmcore.files.fetch.verify` raises for a damaged file.
    """
    known, stated = kinds(), dict(precision or {})
    wanted = {kind: row for kind, row in sources.items() if not roles or known[kind].role in roles}
    return {kind: {"zoo": row.zoo, "file": row.file, "sha256": verify(row), **stated} for kind, row in wanted.items()}


def identity(pipeline: Pipeline, models: Mapping[str, Any]) -> dict[str, str]:
    """Return the identity of a pipeline's units: its models (of `models`) and operating point."""
    known, point = kinds(), pipeline.operating_point
    roles = ("codec",) if pipeline.encoder is None else ("encoder", "codebook")
    made = {name: models[name] for name in pipeline.sources if name in models and known[name].role in roles}
    return {"models": json.dumps(made), "operating_point": point.to_json() if point is not None else "null"}
