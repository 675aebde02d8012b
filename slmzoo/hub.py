"""Loading of models by (zoo, k, lambda), with checks that their operating points agree, for every system of the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from slmcore.errors import must
from slmcore.layers.int8 import Scheme
from slmcore.roles import Codec, Encoder, Quantizer, Synthesizer, TextToSpeech, UnitLanguageModel, point_of
from slmzoo import synthesizers, systems
from slmzoo.pipeline import Pipeline
from slmzoo.signatures import RoleOptions, SourceOptions, written_out
from slmzoo.sources import Choice, Source
from slmzoo.systems import System

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "Choice",
    "Source",
    "codec",
    "encoder",
    "language_model",
    "pipeline",
    "quantizer",
    "synthesizer",
    "text_to_speech",
]


@written_out(SourceOptions)
def pipeline(
    k: int | None = None,
    lmbda: float | None = None,
    *,
    variant: str | None = None,
    with_ulm: bool = True,
    with_speech: bool = True,
    synthesizer: str | None = None,
    needs: Sequence[str] = (),
    dtype: torch.dtype | None = None,
    weights: Scheme | None = None,
    **source: Unpack[SourceOptions],
) -> Pipeline:
    """Load the parts of one operating point; k=500, lmbda=4500 is the default of the published zoo.

    A part that the system lacks is left out, unless its role is in `needs` ("quantizer", "language_model",
    "synthesizer", "codec"): then a ValueError names it. Without a language model and a synthesiser, lambda may be any
    number >= 0. `synthesizer` names the kind of acoustic model, such as "hifigan" (a unit vocoder), or one of several
    as "hifigan:VARIANT", or a file of a vocoder of one's own; by default it is the system's. `dtype` is that of all
    parts, as `.to(dtype)` gives it; `weights` rounds those of the language model and of an autoregressive acoustic
    model to int8, for decoding on a CPU (`slmcore.layers.int8`). The rows of the parts are `pipeline.sources`, by kind.
    """
    if source.get("checkpoint") is not None:
        raise ValueError(
            "A pipeline has several checkpoints. Load its parts, and give them to slmzoo.pipeline.Pipeline."
        )
    where, system = _opened(source)
    named = synthesizer if with_speech else None
    for role in needs:
        if role != "synthesizer" or named is None:
            _loader(system, role, where)
    wanted = Choice(variant=variant, k=k, lmbda=lmbda)
    with_ulm &= system.language_model is not None and ("language_model" in needs or _has_language_model(where))
    if named is not None and not with_ulm:
        wanted = synthesizers.completed(where, named, wanted)
    wanted = system.choice(where, wanted, with_ulm or (with_speech and named is None))
    with_codec = "codec" in needs or (named is None and (with_speech or system.encoder is None))
    roles = {"encoder": True, "quantizer": True, "language_model": with_ulm, "synthesizer": with_speech}
    parts = _parts(where, system, wanted, {**roles, "codec": with_codec}, named)
    made = Pipeline(
        parts.get("encoder"),
        parts.get("quantizer"),
        parts.get("language_model"),
        synthesizer=parts.get("synthesizer"),
        codec=parts.get("codec"),
        sources={kind: where.found[kind] for kind in systems.kinds() if kind in where.found},
    )
    made = made if dtype is None else made.to(dtype)
    _in_bytes([part for part in (made.ulm, made.synthesizer) if part is not None], weights)
    return made


def _parts(
    where: Source, system: System, wanted: Choice, asked_for: Mapping[str, bool], synthesizer: str | None
) -> dict[str, Any]:
    """Load the parts that are asked for, by role, with the synthesiser of a name in place of the system's own."""
    parts: dict[str, Any] = {}
    for role, asked in asked_for.items():
        if asked and role == "synthesizer" and synthesizer is not None:
            parts[role] = synthesizers.load(where, synthesizer, wanted, point_of(parts.get("quantizer")))
        # A synthesiser with a codec of its own provides it.
        elif asked and system.loader(role) and not (role == "codec" and hasattr(parts.get("synthesizer"), "codec")):
            parts[role] = _part(system, role, where, wanted)
    return parts


@written_out(RoleOptions)
def encoder(**options: Unpack[RoleOptions]) -> Encoder:
    """Load the encoder of a zoo; options are those of `Source` and `Choice`."""
    return _one("encoder", **options)


@written_out(RoleOptions)
def quantizer(**options: Unpack[RoleOptions]) -> Quantizer:
    """Load the quantiser of an operating point, `k` and `lmbda`; options are those of `Source` and `Choice`."""
    return _one("quantizer", **options)


@written_out(RoleOptions)
def language_model(
    *, dtype: torch.dtype | None = None, weights: Scheme | None = None, **options: Unpack[RoleOptions]
) -> UnitLanguageModel:
    """Load the language model of an operating point alone; options as for `pipeline`."""
    model: Any = _one("language_model", downstream=True, **options)
    model = model if dtype is None else model.to(dtype)
    _in_bytes([model], weights)
    return model


@written_out(RoleOptions)
def synthesizer(**options: Unpack[RoleOptions]) -> Synthesizer:
    """Load the synthesiser of an operating point alone; options are those of `Source` and `Choice`."""
    return _one("synthesizer", downstream=True, **options)


@written_out(RoleOptions)
def codec(**options: Unpack[RoleOptions]) -> Codec:
    """Load the codec of a zoo; options are those of `Source` and `Choice`."""
    return _one("codec", **options)


@written_out(RoleOptions)
def text_to_speech(**options: Unpack[RoleOptions]) -> TextToSpeech:
    """Load the text-to-speech model of a zoo, with its codec; options are those of `Source` and `Choice`."""
    return _one("text_to_speech", **options)


def _opened(source: Mapping[str, Any]) -> tuple[Source, System]:
    where = Source.of(**source)
    return where, systems.of(where)


def _one(role: str, downstream: bool = False, **options: Any) -> Any:
    choice = {name: options.pop(name) for name in Choice.__dataclass_fields__ if name in options}
    where, system = _opened(options)
    return _part(system, role, where, system.choice(where, Choice(**choice), downstream))


def _part(system: System, role: str, where: Source, wanted: Choice) -> Any:
    return _loader(system, role, where)(where, wanted)


def _loader(system: System, role: str, where: Source) -> Any:
    load = system.loader(role)
    if load is None:
        raise ValueError(f"The system {system.name} of the zoo {where.zoo!r} has no {role.replace('_', ' ')}.")
    return load


def _has_language_model(where: Source) -> bool:
    known = systems.kinds()
    return any(row.kind in known and known[row.kind].role == "language model" for row in where.rows())


def _in_bytes(parts: Sequence[Any], weights: Scheme | None) -> None:
    """Round the weights of decoders to int8, if asked for; other parts, such as vocoders, stay as they are."""
    if weights is None or not parts:
        return
    decoders = [part for part in parts if hasattr(part, "quantize")]
    if not decoders:
        raise ValueError(must("weights", f"float for a {type(parts[0]).__name__}", weights, "It has no int8 weights."))
    for part in decoders:
        part.quantize(weights)
