"""Systems of models, one file each: named by a zoo's `system`, they load its parts into a pipeline.

A system outside this package is a module with a `SYSTEM`, named in the environment variable SLMZOO_SYSTEMS (several
are separated by commas) or by an entry point of the group `slmzoo.systems` of an installed package.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from slmcore.errors import must
from slmcore.files.registry import system_of
from slmcore.files.rows import Row
from slmcore.roles import Codec, Encoder, Quantizer, Synthesizer, TextToSpeech, UnitLanguageModel
from slmzoo.kinds import KINDS, Kind, Role
from slmzoo.sources import Choice, Source

__all__ = ["System", "find", "kinds", "names", "of", "rows_of", "unit_roles"]

_GROUP = "slmzoo.systems"


@dataclass(frozen=True, kw_only=True)
class System:
    """Loaders of the parts of a pipeline, each of a source and a choice; None for parts that do not exist.

    A system has an encoder and a quantiser, or a codec, or all three.
    """

    name: str
    """Name that a zoo gives as its `system`."""
    choice: Callable[[Source, Choice, bool], Choice] = lambda where, wanted, downstream: wanted
    """Completes a choice; the flag says whether a language model or synthesiser must exist for it."""
    encoder: Callable[[Source, Choice], Encoder] | None = None
    quantizer: Callable[[Source, Choice], Quantizer] | None = None
    language_model: Callable[[Source, Choice], UnitLanguageModel] | None = None
    synthesizer: Callable[[Source, Choice], Synthesizer] | None = None
    codec: Callable[[Source, Choice], Codec] | None = None
    text_to_speech: Callable[[Source, Choice], TextToSpeech] | None = None
    """Is no part of a pipeline: it is loaded alone, and brings its codec along."""
    composed: Callable[..., Synthesizer] | None = None
    """Composes the synthesiser of a saved pipeline from its `models`."""
    parts: tuple[str, ...] | Callable[[Source, Choice], tuple[str, ...]]
    """Kinds of its pipeline's models, or a function of the choice that returns them."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of model of a system outside the package; those of the built-in systems are in `slmzoo.kinds`."""

    def parts_of(self, where: Source, wanted: Choice) -> tuple[str, ...]:
        """Return the kinds of the models of a complete choice's pipeline."""
        return self.parts(where, wanted) if callable(self.parts) else self.parts

    def loader(self, role: str) -> Any:
        """Return the loader of a role such as "synthesizer", or None."""
        return getattr(self, role)


def names() -> dict[str, str]:
    """Return the module of each known system by name; built-in ones are not imported."""
    built_in = [module.name for module in pkgutil.iter_modules(__path__)]
    found = {name.replace("_", "-"): f"{__name__}.{name}" for name in built_in}
    return found | {_load(module).name: module for module in _others()}


def find(name: str) -> System:
    """Return the system of this name. Raises ValueError for an unknown one."""
    known = names()
    if name not in known:
        remedy = "Others are modules named in SLMZOO_SYSTEMS."
        raise ValueError(must("system", f"one of {', '.join(known)}", name, remedy))
    return _load(known[name])


def of(where: Source) -> System:
    """Return the system of a source's zoo."""
    return find(system_of(where.zoo, where.registry))


def rows_of(where: Source, wanted: Choice, *roles: Role) -> dict[str, Row]:
    """Return the rows of a pipeline's models by kind, or those of `roles`; nothing is loaded."""
    known, system = kinds(), of(where)
    wanted = system.choice(where, wanted, False)
    parts = [known[name] for name in system.parts_of(where, wanted)]
    found = {
        kind.name: where.find(kind.name, **_key(kind, where, wanted))
        for kind in parts
        if not roles or kind.role in roles
    }
    return {name: row for name, row in found.items() if row is not None}


def _key(kind: Kind, where: Source, wanted: Choice) -> dict[str, Any]:
    """Return the fields of a choice that identify the row of a kind; a codec's only variant has any name."""
    key = {name: getattr(wanted, name) for name in kind.point}
    if kind.role == "codec" and "variant" in key:
        key["variant"] = where.variant(kind.name, wanted.variant)
    return key


def unit_roles(where: Source) -> tuple[Role, ...]:
    """Return the roles of the models that produce units: encoder and codebook, or the codec instead."""
    known, system = kinds(), of(where)
    there = {known[name].role for name in system.parts_of(where, system.choice(where, Choice(), False))}
    return ("encoder", "codebook") if "encoder" in there else ("codec",)


def kinds() -> dict[str, Kind]:
    """Return all kinds of model: those of the built-in systems, and of the systems outside the package."""
    return KINDS | {kind.name: kind for module in _others() for kind in _load(module).kinds}


@cache
def _load(module: str) -> System:
    found = getattr(importlib.import_module(module), "SYSTEM", None)
    if not isinstance(found, System):
        raise ValueError(must("SLMZOO_SYSTEMS", "modules with a SYSTEM, an slmzoo.systems.System", module))
    return found


def _others() -> list[str]:
    named = [part.strip() for part in os.environ.get("SLMZOO_SYSTEMS", "").split(",")]
    return [module for module in dict.fromkeys([*named, *_installed()]) if module]


@cache
def _installed() -> tuple[str, ...]:
    """Return the modules of installed packages, whose discovery reads the metadata of every package."""
    return tuple(entry.value.partition(":")[0] for entry in entry_points(group=_GROUP))
