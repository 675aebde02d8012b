"""GSLM (arXiv 2102.01192): units of features, fairseq's language model, Tacotron 2 and WaveGlow by (features, k)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from dpdp import DPDPQuantizer
from gslm import tacotron as tacotron_package
from gslm import ulm as ulm_package
from gslm import waveglow as waveglow_package
from gslm.log_mel import LogMel
from gslm.synthesizer import TacotronWaveGlow
from gslm.tacotron import Tacotron
from gslm.ulm import GSLMUnitLM, UnitDictionary
from gslm.waveglow import WaveGlow
from slmcore.clustering import codebook as codebook_file
from slmcore.clustering.codebook import Codebook
from slmcore.errors import must
from slmcore.files.content import is_safetensors
from slmcore.files.rows import Row
from slmcore.roles import Encoder
from slmcore.units import OperatingPoint
from slmzoo.kinds import KINDS, Role
from slmzoo.sources import Choice, Source, check_size, placed, placed_codebook, placed_encoder, warn_once
from slmzoo.systems import System

__all__ = [
    "SYSTEM",
    "codebook",
    "encoder",
    "encoder_with_verb",
    "load_codebook",
    "log_mel",
    "quantizer",
    "synthesizer",
    "tacotron",
    "ulm",
    "waveglow",
]

ExtractFeatures = Callable[..., Tensor]

_FRAME_RATES = {"hubert": 50.0, "w2v2": 50.0, "cpc": 100.0, "logmel": 100.0}
"""Frames per second of GSLM's features, for files without a row."""
_ENCODERS = {"hubert": "hubert", "w2v2": "wav2vec2", "cpc": "cpc", "logmel": "log_mel"}
"""Kind of the published encoder of each features."""
_CONTENT = ("encoder", "codebook")
"""Roles whose kinds differ by the features."""


def ulm(
    features: str | None = None, k: int | None = None, *, lmbda: float | None = None, **source: Any
) -> tuple[GSLMUnitLM, UnitDictionary]:
    """The unit language model of some features and k, and the dictionary of its tokens."""
    where = Source.of(**{"zoo": "gslm", **source})
    wanted = _choice(where, Choice(variant=features, k=k, lmbda=lmbda), True)
    row = where.find("gslm_ulm", variant=wanted.variant, k=wanted.k, lmbda=wanted.lmbda)
    path = where.path(row)
    model = ulm_package.load(path, wanted.k if row is None else row.k)
    check_size("k", k if row is None else row.k, model.k, "the language model's number of units")
    _tell_unknown_digits("dict.txt", path, row)
    return placed(model, row, where, k=model.k), model.tokenizer


def tacotron(
    features: str | None = None,
    k: int | None = None,
    *,
    lmbda: float | None = None,
    code_dict: str | Path | None = None,
    **source: Any,
) -> Tacotron:
    """The acoustic model of some features and k, with the table of its input ids.

    `code_dict` is the table of a `checkpoint`, None for the file code_dict beside it.
    """
    where = Source.of(**{"zoo": "gslm", **source})
    wanted = _choice(where, Choice(variant=features, k=k, lmbda=lmbda), True)
    key = {"variant": wanted.variant, "k": wanted.k, "lmbda": wanted.lmbda}
    row = where.find("gslm_tacotron", **key)
    path = where.path(row)
    codes_row = None if row is None or is_safetensors(path) else where.find("gslm_codes", **key)
    codes = code_dict if codes_row is None else where.path(codes_row)
    rate = (None if row is None else row.frame_rate) or _FRAME_RATES.get(wanted.variant or "")
    model = tacotron_package.load(path, codes, wanted.k if row is None else row.k, rate)
    check_size("k", k if row is None else row.k, model.k, "the acoustic model's number of units")
    _tell_unknown_digits("code_dict", path, codes_row)
    return placed(model, row, where, k=model.k)


def waveglow(**source: Any) -> WaveGlow:
    """The vocoder."""
    where = Source.of(**{"zoo": "gslm", **source})
    return waveglow_package.load(where.path(where.find("waveglow"))).to(where.map_location)


def encoder(where: Source, wanted: Choice) -> Encoder:
    """The encoder of the wanted features."""
    row = _row_of(where, wanted, "encoder")
    return placed_encoder(KINDS[row.kind].load(where.path(row)), row, where)


def encoder_with_verb(features: str, **source: Any) -> tuple[Any, ExtractFeatures]:
    """The encoder of some features, and the closure around its `features`."""
    where = Source.of(**{"zoo": "gslm", **source})
    kind = _ENCODERS[features]
    row = where.find(kind)
    return placed_encoder(KINDS[kind].load(where.path(row)), row, where), _extract_features


def log_mel(**source: Any) -> tuple[LogMel, ExtractFeatures]:
    """The filter bank at the rate of each waveform, as GSLM's reader has it, and the closure around its `features`."""
    model, verb = encoder_with_verb("logmel", **source)
    model.resample = False
    return model, verb


def _extract_features(model: Encoder, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
    """Features (frames, dim) of a wav (1, samples) at `sr` Hz; `layer` counts from 1, None is GSLM's."""
    return model.features(wav, sr, layer)


def load_codebook(
    features: str | None = None, k: int | None = None, layer: int | None = None, **source: Any
) -> Codebook:
    """The codebook of some features and k, of GSLM's layer where none is named."""
    where = Source.of(**{"zoo": "gslm", **source})
    wanted = _choice(where, Choice(variant=features, k=k, layer=layer), False)
    if where.checkpoint is None:
        return codebook(where, wanted)[0]
    return placed_codebook(codebook_file.load(where.path(None)), None, where, k, layer)


def codebook(where: Source, wanted: Choice) -> tuple[Codebook, Row]:
    """The codebook of the wanted features and k, and its row."""
    row = _row_of(where, wanted, "codebook")
    return placed_codebook(KINDS[row.kind].load(where.path(row)), row, where, row.k, row.layer), row


def quantizer(where: Source, wanted: Choice) -> DPDPQuantizer:
    """The nearest code of each frame, or DPDP at the wanted lambda over all codes."""
    book, row = codebook(where, wanted)
    lmbda, neighbors = wanted.lmbda or 0.0, wanted.num_neighbors or book.k
    point = replace(book.operating_point or OperatingPoint(zoo=where.zoo), lmbda=lmbda, num_neighbors=neighbors)
    rate = row.frame_rate or _FRAME_RATES.get(wanted.variant or "", 50.0)
    return DPDPQuantizer(book.codes, lmbda, neighbors, frame_rate=rate, operating_point=point).eval()


def synthesizer(where: Source, wanted: Choice) -> TacotronWaveGlow:
    """Load the acoustic model of some features and k with its vocoder."""
    model = tacotron(wanted.variant, wanted.k, lmbda=wanted.lmbda, where=where)
    return TacotronWaveGlow(model, waveglow(where=where))


def _choice(where: Source, wanted: Choice, downstream: bool) -> Choice:
    """Fill in the features and k that the zoo marks as default, or its only ones, their usual layer, and lambda 0."""
    if where.checkpoint is not None:
        return wanted
    rows = where.rows()
    default = next((row for row in rows if row.default), None)
    variants = list(dict.fromkeys(row.variant for row in rows if row.variant is not None and row.k is not None))
    variant = wanted.variant or (default.variant if default else next(iter(variants), None))
    if variant not in variants:
        raise ValueError(
            must("variant", f"features of the zoo {where.zoo!r}: {', '.join(map(str, variants))}", variant)
        )
    sizes = list(dict.fromkeys(row.k for row in rows if row.variant == variant and row.k is not None))
    usual = default.k if default is not None and default.k in sizes else sizes[0] if len(sizes) == 1 else None
    k = usual if wanted.k is None else wanted.k
    layers = (row.layer for row in rows if row.variant == variant and row.k is not None)
    layer = next(layers, None) if wanted.layer is None else wanted.layer
    return replace(wanted, variant=variant, k=k, layer=layer, lmbda=0.0 if wanted.lmbda is None else wanted.lmbda)


def _row_of(where: Source, wanted: Choice, role: Role) -> Row:
    """Return the row of the kind that plays a role for the wanted features."""
    kind = _kind_of(where, wanted, role)
    if kind is None:
        raise ValueError(f"The zoo {where.zoo!r} has no {role} for the features {wanted.variant!r}.")
    found = where.find(kind, **{name: getattr(wanted, name) for name in KINDS[kind].point})
    if found is None:
        raise ValueError(must("checkpoint", "left out for a whole pipeline", str(where.checkpoint)))
    return found


def _kind_of(where: Source, wanted: Choice, role: Role) -> str | None:
    rows = where.rows()
    alike = [row for row in rows if row.variant in (None, wanted.variant) and KINDS[row.kind].role == role]
    return alike[0].kind if alike else None


def _parts(where: Source, wanted: Choice) -> tuple[str, ...]:
    """Return the kinds of a pipeline of the wanted features."""
    content = [_kind_of(where, wanted, role) for role in _CONTENT]
    return (*(kind for kind in content if kind is not None), "gslm_ulm", "gslm_tacotron", "gslm_codes", "waveglow")


def _tell_unknown_digits(what: str, path: Path, row: Row | None) -> None:
    """Warn of a table of units without a known digest, which only its length tells from another model's."""
    if not is_safetensors(path) and not (row is not None and row.sha256):
        warn_once(
            f"No digest is known of the {what} of {path}: that it is this model's own was only checked by its "
            "length. Another model's table gives fluent nonsense."
        )


SYSTEM = System(
    name="gslm",
    choice=_choice,
    parts=_parts,
    encoder=encoder,
    quantizer=quantizer,
    language_model=lambda where, wanted: ulm(wanted.variant, wanted.k, lmbda=wanted.lmbda, where=where)[0],
    synthesizer=synthesizer,
    composed=TacotronWaveGlow,
)
