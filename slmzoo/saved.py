"""Saved pipelines: a folder of a `pipeline.json` with the kinds of the models by role, and a file per model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slmcore.errors import CheckpointError, must
from slmcore.files import atomic, card
from slmcore.files.checkpoint import save
from slmcore.files.rows import Row
from slmcore.roles import point_of
from slmzoo import systems

__all__ = ["ROLES", "card_of_pipeline", "read_pipeline", "write_pipeline"]

ROLES = ("encoder", "quantizer", "ulm", "synthesizer", "codec")
FILE, FORMAT, VERSION = "pipeline.json", "slmzoo-pipeline", 1
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def write_pipeline(
    folder: Path, parts: Mapping[str, Any], sources: Mapping[str, Row], provenance: Mapping[str, Any] | None = None
) -> Path:
    """Write the parts of a pipeline by role, the rows that they were loaded from, and a card; return `pipeline.json`.

    A part has a `checkpoint`, or is composed of models that have one: its `models`, by the names of its constructor's
    arguments, for the system that composes it (`System.composed`). Raises ValueError for a part without either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"format": FORMAT, "version": VERSION, "system": _system_of(parts), "parts": {}}
    for role, part in parts.items():
        content["parts"][role] = _written(folder, role, part, provenance)
    content["sources"] = {kind: asdict(row) for kind, row in sources.items()}
    with atomic.replacing(folder / FILE) as file:
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    card.write(folder, card_of_pipeline(parts, sources, folder.name, provenance))
    return folder / FILE


def read_pipeline(folder: Path) -> tuple[dict[str, Any], dict[str, Row]]:
    """Load the parts by role, on the CPU, and the rows, from a folder that `write_pipeline` wrote.

    Raises FileNotFoundError for a file that is missing, CheckpointError for a damaged one or another version.
    """
    content = _content(folder)
    try:
        parts = {_checked(role, ROLES): _read(folder, role, named, content) for role, named in content["parts"].items()}
        return parts, {kind: Row(**row) for kind, row in content["sources"].items()}
    except CheckpointError:
        raise
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(f"{folder / FILE} does not describe a pipeline: {error}") from error


def card_of_pipeline(
    parts: Mapping[str, Any], sources: Mapping[str, Row], address: str, provenance: Mapping[str, Any] | None = None
) -> card.Card:
    """Return the model card of a pipeline, which `Pipeline.from_pretrained` loads from `address`.

    Its licence is that of `provenance`, or of the rows that all parts were loaded from if they agree.
    """
    models = [(role, name, model) for role, part in parts.items() for name, model in _models(part)]
    kinds = {f"{role}.{name}" if name else role: model.checkpoint().kind for role, name, model in models}
    rows = [[name, f"`{kind}`", *_stated(_source(kind, sources))] for name, kind in kinds.items()]
    licences = {row.licence for row in sources.values()}
    common = {"licence": licences.pop()} if len(licences) == 1 else {}
    return card.Card(
        title="Speech pipeline",
        summary=f"Models that belong together ({', '.join(parts)}), in the format of [slmzoo]({card.HOME}).",
        task="audio-to-audio",
        tags=sorted(set(kinds.values())),
        loading=[f"from slmzoo.pipeline import Pipeline\n\npipeline = Pipeline.from_pretrained({json.dumps(address)})"],
        point=point_of(parts.get("quantizer")),
        facts={f"{role}, {name}": rate for role, part in parts.items() for name, rate in card.rates(part).items()},
        provenance={**common, **(provenance or {})},
        parts=card.table(["file", "kind", "licence", "origin"], rows),
    )


def _models(part: Any) -> list[tuple[str, Any]]:
    """Return the models of a part by name; a part that is one model has no name of its own."""
    return list(part.models.items()) if hasattr(part, "models") else [("", part)]


def _source(kind: str, sources: Mapping[str, Row]) -> Row | None:
    """Return the row that a model was loaded from; a quantiser is loaded from that of its codebook."""
    known = systems.kinds()
    if kind in sources or kind not in known or known[kind].role != "quantizer":
        return sources.get(kind)
    return next((row for name, row in sources.items() if name in known and known[name].role == "codebook"), None)


def _stated(row: Row | None) -> list[str]:
    return ["not stated"] * 2 if row is None else [card.cell(row.licence), card.cell(row.origin)]


def _system_of(parts: Mapping[str, Any]) -> str | None:
    """Return the system that composes parts of several models; None if all parts are single models."""
    made = {type(part) for part in parts.values() if hasattr(part, "models")}
    if not made:
        return None
    fitting = [name for name in systems.names() if made <= {systems.find(name).composed}]
    if not fitting:
        names = ", ".join(sorted(each.__name__ for each in made))
        raise ValueError(must("pipeline", "of parts that a system composes (`System.composed`)", names))
    return fitting[0]


def _written(folder: Path, role: str, part: Any, provenance: Mapping[str, Any] | None) -> str | dict[str, str]:
    if hasattr(part, "models"):
        return {name: _saved(folder / f"{role}.{name}", model, provenance) for name, model in part.models.items()}
    return _saved(folder / role, part, provenance)


def _saved(path: Path, model: Any, provenance: Mapping[str, Any] | None) -> str:
    if not hasattr(model, "checkpoint"):
        raise ValueError(must(path.name, "a model that can be saved, with a `checkpoint`", type(model).__name__))
    checkpoint = model.checkpoint(provenance)
    save(_file(path), checkpoint)
    return checkpoint.kind


def _read(folder: Path, role: str, named: Any, content: Mapping[str, Any]) -> Any:
    if isinstance(named, str):
        return _loaded(folder / role, named)
    composed = systems.find(content["system"]).composed
    if composed is None:
        raise ValueError(must("system", f"one that composes its {role}", content["system"]))
    return composed(**{name: _loaded(folder / f"{role}.{_checked(name)}", kind) for name, kind in named.items()})


def _loaded(path: Path, kind: str) -> Any:
    return systems.kinds()[_checked(kind, systems.kinds())].load(_file(path))


def _file(path: Path) -> Path:
    return path.with_name(path.name + ".safetensors")


def _checked(name: str, known: Any = None) -> str:
    if not _NAME.fullmatch(name) or (known is not None and name not in known):
        raise ValueError(must("name", f"one of {', '.join(known)}" if known else "letters, digits and _", name))
    return name


def _content(folder: Path) -> dict[str, Any]:
    path = folder / FILE
    if not path.is_file():
        raise FileNotFoundError(f"No {FILE} in {folder}. Give a folder that Pipeline.save_pretrained wrote.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise CheckpointError(f"{path} is no {FORMAT} of version {VERSION}.")
    return content
