"""The toy system as the zoo knows it: its kinds, and the loader of each part. SLMZOO_SYSTEMS names this module."""

from __future__ import annotations

from slmcore.files import registry
from slmzoo.kinds import Kind
from slmzoo.sources import Choice, Source
from slmzoo.systems import System
from tests.toy_system.parts import BandEncoder, Bigram, LoudestBand, SampleCodec, Tones, read

__all__ = ["SYSTEM"]

_HERE = "tests.toy_system.system"


def encoder(where: Source, wanted: Choice) -> BandEncoder:
    return BandEncoder(**read(where.path(where.find("toy_encoder"))))


def quantizer(where: Source, wanted: Choice) -> LoudestBand:
    content = read(where.path(where.find("toy_codebook", k=wanted.k)))
    return LoudestBand(content["k"], 1.0 if wanted.lmbda is None else wanted.lmbda)


def language_model(where: Source, wanted: Choice) -> Bigram:
    row = where.find("toy_bigram", k=wanted.k, lmbda=wanted.lmbda)
    assert row is not None
    assert row.operating_point is not None
    return Bigram(read(where.path(row))["table"], row.operating_point)


def synthesizer(where: Source, wanted: Choice) -> Tones:
    row = where.find("toy_tones", k=wanted.k, lmbda=wanted.lmbda)
    assert row is not None
    assert row.operating_point is not None
    return Tones(read(where.path(row))["k"], row.operating_point)


def codec(where: Source, wanted: Choice) -> SampleCodec:
    return SampleCodec(**read(where.path(where.find("toy_codec"))))


def _choice(where: Source, wanted: Choice, downstream: bool) -> Choice:
    row = registry.default_row("toy_codebook", where.zoo, where.registry)
    return Choice(k=wanted.k or (row.k if row else None), lmbda=2.0 if wanted.lmbda is None else wanted.lmbda)


SYSTEM = System(
    name="toy",
    choice=_choice,
    encoder=encoder,
    quantizer=quantizer,
    language_model=language_model,
    synthesizer=synthesizer,
    codec=codec,
    parts=("toy_encoder", "toy_codebook", "toy_bigram", "toy_tones", "toy_codec"),
    kinds=(
        Kind(name="toy_encoder", role="encoder", loader=f"{_HERE}:encoder"),
        Kind(name="toy_codebook", role="codebook", loader=f"{_HERE}:quantizer", point=("k",)),
        Kind(name="toy_bigram", role="language model", loader=f"{_HERE}:language_model", point=("k", "lmbda")),
        Kind(name="toy_tones", role="acoustic model", loader=f"{_HERE}:synthesizer", point=("k", "lmbda")),
        Kind(name="toy_codec", role="codec", loader=f"{_HERE}:codec"),
    ),
)
