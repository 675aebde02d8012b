"""DP-SLM (arXiv 2505.23494): WavLM, k-means, DPDP, the unit language model, ELLA-V and WavTokenizer by (k, lambda)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import ellav as ellav_package
import mistral_ulm
import wavtokenizer
from dpdp import DPDPQuantizer
from ellav import EllaV
from mistral_ulm import PhonemeTokenizer, UnitLM, UnitTokenizer
from slmcore.checks import whole
from slmcore.clustering import codebook as codebook_file
from slmcore.clustering.codebook import Codebook
from slmcore.errors import must
from slmcore.files import registry as table
from slmcore.files.rows import Row
from slmcore.roles import UnitLanguageModel
from slmcore.units import OperatingPoint
from slmzoo.ellav_synthesizer import EllaVSynthesizer
from slmzoo.kinds import KINDS
from slmzoo.sources import Choice, Source, check_size, placed, placed_codebook, placed_encoder
from slmzoo.systems import System
from wavlm_codebooks import WavLM
from wavlm_codebooks import wavlm as wavlm_file
from wavtokenizer import WavTokenizer

__all__ = [
    "SYSTEM",
    "codec",
    "codec_with_verbs",
    "ellav",
    "empty_quantizer",
    "language_model",
    "load_codebook",
    "plm",
    "quantizer",
    "synthesizer",
    "ulm",
    "wavlm",
]

ExtractFeatures = Callable[..., Tensor]


def wavlm(**source: Any) -> tuple[WavLM, ExtractFeatures]:
    """Return the encoder, and the published closure around `WavLM.features`."""
    where = Source.of(**source)
    row = where.find("wavlm")
    return placed_encoder(wavlm_file.load(where.path(row)), row, where), _extract_features


def _extract_features(model: WavLM, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
    """Return features (frames, dim) of a wav (1, samples) at `sr` Hz; `layer` counts from 1, None is the last."""
    return model.features(wav, sr, layer)


def load_codebook(layer: int | None = None, k: int | None = None, **source: Any) -> Codebook:
    """Load the codebook of a layer with k codes, by default the zoo's default size."""
    where = Source.of(**source)
    row = where.find("codebook", k=_usual_k(k, where), layer=layer)
    return placed_codebook(codebook_file.load(where.path(row)), row, where, k, layer)


def empty_quantizer(codebook_size: int, codebook_dim: int, lmbda: float, num_neighbors: int | None) -> DPDPQuantizer:
    """Return a quantiser with a codebook of zeros."""
    shape = whole("codebook_size", codebook_size, 1), whole("codebook_dim", codebook_dim, 1)
    return DPDPQuantizer(torch.zeros(shape), lmbda, num_neighbors).eval()


def quantizer(
    codebook: Tensor | None = None,
    lmbda: float | None = None,
    num_neighbors: int | None = None,
    *,
    k: int | None = None,
    layer: int | None = None,
    **source: Any,
) -> DPDPQuantizer:
    """Return a quantiser over a given codebook, or over the zoo's of k codes, with the zoo's number of neighbours."""
    if codebook is not None:
        if k is not None or Source.of(**source).checkpoint is not None:
            raise ValueError(
                must("codebook", "given alone, or left out where k or checkpoint is given", "given with them")
            )
        if lmbda is None:
            raise ValueError(must("lmbda", "a number >= 0", lmbda, "0 takes the nearest code."))
        return DPDPQuantizer(codebook, lmbda, num_neighbors).eval()
    where = Source.of(**source)
    loaded = load_codebook(layer, k, where=where)
    point = _point_of_units(loaded, lmbda, num_neighbors, where)
    lmbda, num_neighbors = point.lmbda, point.num_neighbors
    rate = _frame_rate(where.found.get("codebook"))
    made = DPDPQuantizer(loaded.codes, lmbda, num_neighbors, frame_rate=rate, operating_point=point)  # pyright: ignore[reportArgumentType]
    return made.eval()


def _frame_rate(row: Row | None) -> float:
    """Return the frame rate of a codebook's features; that of the published encoder for a bare file."""
    return 50.0 if row is None or row.frame_rate is None else row.frame_rate


def _point_of_units(book: Codebook, lmbda: float | None, num_neighbors: int | None, where: Source) -> OperatingPoint:
    """Complete lambda and the neighbours: as given, else those of the codebook or of the zoo's only point."""
    known = book.operating_point or OperatingPoint(zoo=where.zoo)  # a codebook is independent of lambda
    trained = [name for name, kind in KINDS.items() if kind.role in ("language model", "acoustic model")]
    points = () if where.checkpoint else table.operating_points(where.zoo, where.registry, trained)
    listed = [p for p in points if p.k == book.k]
    usual = {p.num_neighbors for p in listed or [known]} - {None}
    if lmbda is None:
        lmbdas = {p.lmbda for p in listed or [known]} - {None}
        if len(lmbdas) != 1:
            raise ValueError(must("lmbda", f"given for k={book.k}", None, "0 takes the nearest code."))
        lmbda = lmbdas.pop()
    if num_neighbors is None:
        num_neighbors = usual.pop() if len(usual) == 1 else max(1, int(0.05 * book.k))
    return replace(known, k=book.k, lmbda=lmbda, num_neighbors=num_neighbors)


def ulm(
    variant: str | None = None, *, k: int | None = None, lmbda: float | None = None, **source: Any
) -> tuple[UnitLM, UnitTokenizer]:
    """Load the unit language model of an operating point, and its tokenizer."""
    where = Source.of(**source)
    row = where.find("ulm", variant=where.variant("ulm", variant), k=k, lmbda=lmbda)
    model = mistral_ulm.load(where.path(row))
    size = model.config.vocab_size - 1
    check_size("k", k if row is None else row.k, size, "the language model's number of units")
    return placed(model, row, where, k=size, lmbda=lmbda), UnitTokenizer(size)


def plm(tokenizer: str | Path | None = None, **source: Any) -> tuple[UnitLM, PhonemeTokenizer]:
    """Load the phoneme language model, and its tokenizer."""
    where = Source.of(**source)
    if where.checkpoint is not None and tokenizer is None:
        raise ValueError(must("tokenizer", "given beside `checkpoint`", None, "It is the JSON with `phoneme_to_id`."))
    model = mistral_ulm.load(where.path(where.find("plm"))).to(where.map_location)
    names = Source(zoo=where.zoo, checkpoint=tokenizer, progress=where.progress, registry=where.registry)
    reader = PhonemeTokenizer.from_file(names.path(names.find("plm_tokenizer")))
    if reader.vocab_size > model.config.vocab_size:
        raise ValueError(f"The tokenizer has {reader.vocab_size} ids, the model only {model.config.vocab_size}.")
    return model, reader


def ellav(variant: str = "units", *, k: int | None = None, lmbda: float | None = None, **source: Any) -> EllaV:
    """Load the acoustic model of an operating point, or the one for phonemes."""
    where = Source.of(**source)
    row = where.find("ellav", variant=variant, k=k, lmbda=lmbda)
    model = ellav_package.load(where.path(row))
    if variant != "units":
        return model.to(where.map_location)
    if model.longest_seconds is None and row is not None:
        model.longest_seconds = row.longest_seconds
    size = model.tokenizer.num_phone_types
    check_size("k", k if row is None else row.k, size, "the acoustic model's number of units")
    return placed(model, row, where, k=size, lmbda=lmbda)


def codec(variant: str | None = None, **source: Any) -> WavTokenizer:
    """Load the codec, by default the zoo's first variant."""
    where = Source.of(**source)
    row = where.find("wavtokenizer", variant=where.variant("wavtokenizer", variant))
    return wavtokenizer.load(where.path(row)).to(where.map_location)


def codec_with_verbs(
    variant: str, pretrained: bool = True, **source: Any
) -> tuple[WavTokenizer, Callable[..., Tensor], Callable[..., tuple[Tensor, int]]]:
    """Return the codec and the published closures around `encode` and `decode`."""
    if not pretrained:
        model = WavTokenizer(wavtokenizer.CONFIGS[variant]).eval()
        return model.to(Source.of(**source).map_location), _encode, _decode
    return codec(variant, **source), _encode, _decode


def _encode(model: WavTokenizer, wav: Tensor, sr: int) -> Tensor:
    """Encode a wav (1, samples) at `sr` Hz to codes (1, 1, frames)."""
    return model.encode(wav, sr)


def _decode(model: WavTokenizer, codes: Tensor) -> tuple[Tensor, int]:
    """Decode codes (1, 1, frames) to a wav (1, frames * hop); also return its sample rate."""
    return model.decode(codes)


def synthesizer(where: Source, wanted: Choice) -> EllaVSynthesizer:
    """Load the acoustic model of an operating point with its codec."""
    return EllaVSynthesizer(ellav(k=wanted.k, lmbda=wanted.lmbda, where=where), codec(where=where))


def _usual_k(k: int | None, where: Source) -> int | None:
    if k is not None or where.checkpoint is not None:
        return k
    row = table.default_row("codebook", where.zoo, where.registry)
    return row.k if row is not None else None


def language_model(where: Source, wanted: Choice) -> UnitLanguageModel:
    """Load the unit language model of an operating point, of this system's kind or begun from a text model (TWIST)."""
    if where.checkpoint is None and _language_kind(where) == "twist_ulm":
        from slmzoo.systems import twist

        return twist.ulm(wanted.variant, k=wanted.k, lmbda=wanted.lmbda, where=where)
    return ulm(wanted.variant, k=wanted.k, lmbda=wanted.lmbda, where=where)[0]


def _language_kind(where: Source) -> str:
    there = {row.kind for row in where.rows()}
    return "twist_ulm" if "twist_ulm" in there and "ulm" not in there else "ulm"


def _parts(where: Source, wanted: Choice) -> tuple[str, ...]:
    return ("wavlm", "codebook", _language_kind(where), "ellav", "wavtokenizer")


def _choice(where: Source, wanted: Choice, downstream: bool) -> Choice:
    """Return the operating point of the zoo's language model, or the zoo's default."""
    if wanted.k is None and wanted.lmbda is None:
        row = table.default_row(_language_kind(where), where.zoo, where.registry)
        wanted = wanted if row is None else replace(wanted, k=row.k, lmbda=row.lmbda)
    if downstream:
        row = table.find(_language_kind(where), zoo=where.zoo, registry=where.registry, k=wanted.k, lmbda=wanted.lmbda)
        wanted = replace(wanted, k=row.k, lmbda=row.lmbda)
    return wanted


SYSTEM = System(
    name="dp-slm",
    parts=_parts,
    choice=_choice,
    encoder=lambda where, wanted: wavlm(where=where)[0],
    quantizer=lambda where, wanted: quantizer(
        k=wanted.k, lmbda=wanted.lmbda, num_neighbors=wanted.num_neighbors, layer=wanted.layer, where=where
    ),
    language_model=language_model,
    codec=lambda where, wanted: codec(where=where),
    composed=EllaVSynthesizer,
    synthesizer=synthesizer,
)
