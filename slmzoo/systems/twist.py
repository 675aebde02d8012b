"""TWIST (arXiv 2305.13009): mHuBERT at 25 Hz, its units, warm-started language models, and a unit vocoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from dpdp import DPDPQuantizer
from slmcore.clustering import codebook as codebook_file
from slmcore.clustering.codebook import Codebook
from slmcore.files import registry as table
from slmcore.files.content import is_safetensors
from slmcore.files.rows import Row
from slmcore.units import OperatingPoint
from slmzoo.sources import Choice, Source, check_size, placed, placed_codebook, placed_encoder
from slmzoo.systems import System
from twist import lm, mhubert
from twist import vocoder as unit_vocoder
from twist.lm import TwistLM
from twist.mhubert import MHuBERT
from twist.vocoder import UnitVocoder

__all__ = ["SYSTEM", "codebook", "encoder", "quantizer", "synthesizer", "ulm", "vocoder"]

_FRAME_RATE = 25.0
"""Frames per second of the published encoder, for codebooks without a row."""
_BESIDE = ("config", "speakers", "styles")
"""Files of a published vocoder beside its weights."""
_OF_UNITS = ("twist_ulm", "unit_hifigan")
"""Kinds of the models that read units."""

ExtractFeatures = Callable[..., Tensor]


def encoder(**source: Any) -> tuple[MHuBERT, ExtractFeatures]:
    """The encoder, and the closure around `MHuBERT.features`."""
    where = _where(source)
    row = where.find("mhubert")
    return placed_encoder(mhubert.load(_place(where, row)), row, where), _extract_features


def _extract_features(model: MHuBERT, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
    """Features (frames, dim) of a wav (1, samples) at `sr` Hz; `layer` counts from 1, None is TWIST's."""
    return model.features(wav, sr, layer)


def codebook(k: int | None = None, layer: int | None = None, **source: Any) -> Codebook:
    """The codebook of k units."""
    where = _where(source)
    row = where.find("codebook", k=k, layer=layer)
    return placed_codebook(codebook_file.load(where.path(row)), row, where, k, layer)


def quantizer(where: Source, wanted: Choice) -> DPDPQuantizer:
    """The nearest code of each frame, as published, or DPDP at the wanted lambda over all codes."""
    book = codebook(wanted.k, wanted.layer, where=where)
    lmbda, neighbors = wanted.lmbda or 0.0, wanted.num_neighbors or book.k
    point = replace(book.operating_point or OperatingPoint(zoo=where.zoo), lmbda=lmbda, num_neighbors=neighbors)
    row = where.found.get("codebook")
    rate = _FRAME_RATE if row is None or row.frame_rate is None else row.frame_rate
    return DPDPQuantizer(book.codes, lmbda, neighbors, frame_rate=rate, operating_point=point).eval()


def ulm(variant: str | None = None, *, k: int | None = None, lmbda: float | None = None, **source: Any) -> TwistLM:
    """The language model of a size."""
    where = _where(source)
    row = where.find("twist_ulm", variant=where.variant("twist_ulm", variant), k=k, lmbda=lmbda)
    path = _place(where, row)
    _companion(where, "twist_ulm_config", row)  # lands beside the weights
    model = lm.load(path, k if row is None else row.k)
    check_size("k", k if row is None else row.k, model.k, "the language model's number of units")
    return placed(model, row, where, k=model.k)


def vocoder(
    variant: str | None = None,
    *,
    k: int | None = None,
    lmbda: float | None = None,
    config: str | Path | None = None,
    **source: Any,
) -> UnitVocoder:
    """A unit vocoder; `config` is the config.json of a `checkpoint`, None for the one beside it."""
    where = _where(source)
    row = where.find("unit_hifigan", variant=where.variant("unit_hifigan", variant), k=k, lmbda=lmbda)
    path = _place(where, row)
    beside: dict[str, Any] = {} if config is None else {"config": config}
    if not (path.is_file() and is_safetensors(path)):
        found = {name: _companion(where, f"unit_hifigan_{name}", row) for name in _BESIDE}
        beside |= {name: file for name, file in found.items() if file is not None}
    model = unit_vocoder.load(path, **beside)
    check_size("k", k if row is None else row.k, model.k, "the vocoder's number of units")
    return placed(model, row, where, k=model.k)


def synthesizer(where: Source, wanted: Choice) -> UnitVocoder:
    """Load the unit vocoder of a variant and an operating point, of any system's zoo."""
    return vocoder(wanted.variant, k=wanted.k, lmbda=wanted.lmbda, where=where)


def _where(source: dict[str, Any]) -> Source:
    return Source.of(**{"zoo": "twist", **source})


def _place(where: Source, row: Row | None) -> Path:
    """The file of a row, or the file or folder that takes its place."""
    given = None if where.checkpoint is None else Path(where.checkpoint).expanduser()
    return given if given is not None and given.is_dir() else where.path(row)


def _companion(where: Source, kind: str, row: Row | None) -> Path | None:
    """The file of another kind that belongs to a row, if the zoo has one."""
    if row is None or row.variant not in where.variants(kind):
        return None
    return where.path(where.find(kind, variant=row.variant, k=row.k))


def _choice(where: Source, wanted: Choice, downstream: bool) -> Choice:
    """Complete k and lambda by those of the models that read units, or k by the codebook's where none is wanted."""
    if where.checkpoint is not None:
        return wanted
    kind = next((kind for kind in _OF_UNITS if downstream and where.variants(kind)), "codebook")
    variant = where.variant(kind, wanted.variant) if kind == "twist_ulm" else None
    asked = {"variant": variant, "k": wanted.k, "lmbda": wanted.lmbda}
    row = table.find(kind, zoo=where.zoo, registry=where.registry, **asked)
    lmbda = row.lmbda if wanted.lmbda is None else wanted.lmbda
    return replace(wanted, k=row.k, lmbda=lmbda or 0.0)


def _parts(where: Source, wanted: Choice) -> tuple[str, ...]:
    """The kinds of model that the zoo has, and those of the files beside the models of this choice."""
    of_models = [kind for kind in ("mhubert", "codebook", *_OF_UNITS) if where.variants(kind)]
    vocoders = where.variants("unit_hifigan")
    beside = {"twist_ulm_config": wanted.variant, "unit_hifigan_config": vocoders[0] if vocoders else None}
    return (*of_models, *(kind for kind, variant in beside.items() if variant in where.variants(kind)))


SYSTEM = System(
    name="twist",
    choice=_choice,
    parts=_parts,
    encoder=lambda where, wanted: encoder(where=where)[0],
    quantizer=quantizer,
    language_model=lambda where, wanted: ulm(wanted.variant, k=wanted.k, lmbda=wanted.lmbda, where=where),
    synthesizer=lambda where, wanted: vocoder(k=wanted.k, lmbda=wanted.lmbda, where=where),
)
