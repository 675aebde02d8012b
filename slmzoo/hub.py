"""Loading of models by (zoo, k, lambda), with checks that their operating points agree, for every system of the zoo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from slmcore.errors import must
from slmcore.layers.int8 import Scheme
from slmcore.roles import Codec, Encoder, Quantizer, Synthesizer, TextToSpeech, UnitLanguageModel
from slmzoo import systems
from slmzoo.pipeline import Pipeline
from slmzoo.signatures import RoleOptions, SourceOptions, written_out
from slmzoo.sources import Choice, Source
from slmzoo.systems.system import System

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
    needs: Sequence[str] = (),
    dtype: torch.dtype | None = None,
    weights: Scheme | None = None,
    **source: Unpack[SourceOptions],
) -> Pipeline:
    """Load the parts of one operating point; k=500, lmbda=4500 is the default of the published zoo.

    A part that the system lacks is left out, unless its role is in `needs` ("quantizer", "language_model",
    "synthesizer", "codec"): then a ValueError names it. Without a language model and a synthesiser, lambda may be any
    number >= 0. `dtype` is that of all parts, as `.to(dtype)` gives it; `weights` rounds those of the language model
    and of the acoustic model to int8, for decoding on a CPU (`slmcore.layers.int8`). The rows of the parts are
    `pipeline.sources`, by kind.
    """
    if source.get("checkpoint") is not None:
        raise ValueError(
            "A pipeline has several checkpoints. Load its parts, and give them to slmzoo.pipeline.Pipeline."
        )
    where, system = _opened(source)
    for role in needs:
        _loader(system, role, where)
    with_ulm &= system.language_model is not None
    wanted = system.choice(where, Choice(variant=variant, k=k, lmbda=lmbda), with_ulm or with_speech)
    parts = {}
    with_codec = with_speech or system.encoder is None
    asked_for = ("encoder", True), ("quantizer", True), ("language_model", with_ulm), ("synthesizer", with_speech)
    for role, asked in (*asked_for, ("codec", with_codec)):
        # A synthesiser with a codec of its own provides it.
        if asked and system.loader(role) and not (role == "codec" and hasattr(parts.get("synthesizer"), "codec")):
            parts[role] = _part(system, role, where, wanted)
    made = Pipeline(
        parts.get("encoder"),
        parts.get("quantizer"),
        parts.get("language_model"),
        synthesizer=parts.get("synthesizer"),
        codec=parts.get("codec"),
        sources={kind: where.found[kind] for kind in systems.kinds() if kind in where.found},
    )
    made = made if dtype is None else made.to(dtype)
    for part in (made.ulm, made.synthesizer):
        _in_bytes(part, weights)
    return made


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
    _in_bytes(model, weights)
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


def _in_bytes(part: Any, weights: Scheme | None) -> None:
    """Round the weights of a decoder to int8, if requested."""
    if part is None or weights is None:
        return
    if not hasattr(part, "quantize"):
        raise ValueError(must("weights", f"float for a {type(part).__name__}", weights, "It has no int8 weights."))
    part.quantize(weights)
