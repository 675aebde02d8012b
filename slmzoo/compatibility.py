"""Compatibility of the parts of a pipeline: sizes, rates and operating points."""

from __future__ import annotations

from slmcore.errors import must
from slmcore.roles import Codec, Encoder, Quantizer, Synthesizer, UnitLanguageModel, point_of

__all__ = ["check_codec_alone", "check_fit"]


def check_codec_alone(
    encoder: Encoder | None,
    quantizer: Quantizer | None,
    ulm: UnitLanguageModel | None,
    synthesizer: Synthesizer | None,
    codec: Codec | None,
) -> None:
    """Raise a ValueError unless the codec is the only part."""
    others = {"encoder": encoder, "quantizer": quantizer, "ulm": ulm, "synthesizer": synthesizer}
    given = [name for name, part in others.items() if part is not None]
    if codec is None or given:
        found = ", ".join(given) or "nothing"
        raise ValueError(must("encoder and quantizer", "given, or a codec alone", found))


def check_fit(
    encoder: Encoder, quantizer: Quantizer, ulm: UnitLanguageModel | None, synthesizer: Synthesizer | None
) -> None:
    """Raise a ValueError for parts whose sizes, rates or known operating points differ."""
    sizes: list[tuple[str, str, float, str, float]] = [
        ("feature width", "the encoder", encoder.dim, "the codebook", quantizer.dim)
    ]
    parts: dict[str, object] = {"encoder": encoder, "quantizer": quantizer}
    if ulm is not None:
        sizes.append(("number of units", "the codebook", quantizer.k, "the language model", ulm.k))
        parts["language model"] = ulm
    if synthesizer is not None:
        name = type(synthesizer).__name__
        sizes.append(("number of units", "the codebook", quantizer.k, name, synthesizer.k))
        sizes.append(("frames per second", "the encoder", encoder.frame_rate, name, synthesizer.frame_rate))
        parts["synthesizer"] = synthesizer
    for what, one, a, other, b in sizes:
        if a != b:
            raise ValueError(f"These parts do not belong together: {what} is {a} for {one}, but {b} for {other}.")
    known = [(name, point) for name, part in parts.items() if (point := point_of(part)) is not None]
    for i, (name, point) in enumerate(known):
        for other, theirs in known[i + 1 :]:
            point.check_compatible(theirs, f"{name} and {other}")
