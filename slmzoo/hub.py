"""From (zoo, k, lambda) to loaded models whose operating points are known and agree."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

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
from slmcore.errors import must
from slmcore.files import registry as table
from slmcore.files.fetch import resolve
from slmcore.files.registry import Registries, Row
from slmcore.layers.int8 import Scheme, quantize_linears
from slmcore.units import OperatingPoint
from slmzoo.pipeline import Pipeline, Synthesizer
from wavlm_codebooks import Codebook, WavLM
from wavlm_codebooks import wavlm as wavlm_file
from wavtokenizer import WavTokenizer

__all__ = [
    "Source",
    "codec",
    "codec_with_verbs",
    "default_point",
    "ellav",
    "empty_quantizer",
    "language_model",
    "load_codebook",
    "pipeline",
    "plm",
    "quantizer",
    "ulm",
    "wavlm",
]

logger = logging.getLogger(__name__)
_ALIASES = {"device": "map_location", "source": "zoo", "path": "checkpoint", "file": "checkpoint"}
ExtractFeatures = Callable[..., Tensor]


class _HasPoint(Protocol):
    operating_point: OperatingPoint | None


Loaded = TypeVar("Loaded", bound=_HasPoint)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where models come from: what every loader takes."""

    zoo: str = "dp-slm"
    checkpoint: str | Path | None = None
    """A file, URL or hf://owner/repo/file in place of the table's."""
    map_location: str | torch.device = "cpu"
    progress: bool = True
    registry: Registries = None

    def __new__(cls, **arguments: Any) -> Source:
        """Refuse what is no field, by the names of those that are."""
        known = [field.name for field in fields(cls)]
        unknown = next((name for name in arguments if name not in known), None)
        if unknown is not None:
            close = get_close_matches(_ALIASES.get(unknown, unknown), known, 1, 0.4)
            raise TypeError(
                f"{unknown!r} is no option of this loader. Options: {', '.join(known)}."
                + (f" Did you mean {close[0]}?" if close else "")
            )
        return super().__new__(cls)

    def find(self, kind: str, **key: Any) -> Row | None:
        """The table's row; None where a checkpoint takes its place."""
        return None if self.checkpoint is not None else table.find(kind, zoo=self.zoo, registry=self.registry, **key)

    def variant(self, kind: str, wanted: str | None) -> str | None:
        """The variant `wanted`, or the zoo's single one."""
        if self.checkpoint is not None:
            return wanted
        return table.variant_of(kind, wanted, zoo=self.zoo, registry=self.registry)

    def path(self, row: Row | None) -> Path:
        """The file, brought here if need be."""
        wanted = row if self.checkpoint is None else self.checkpoint
        return resolve(wanted, progress=self.progress)  # pyright: ignore[reportArgumentType]


def wavlm(**source: Any) -> tuple[WavLM, ExtractFeatures]:
    """The encoder, and the published closure around `WavLM.features`."""
    where = Source(**source)
    row = where.find("wavlm")
    model = wavlm_file.load(where.path(row)).to(where.map_location)
    if row is not None:
        model.operating_point = OperatingPoint(zoo=where.zoo, encoder=row.encoder)
    return model, _extract_features


def _extract_features(model: WavLM, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
    """Features (frames, dim) of a wav (1, samples) at `sr` Hz; `layer` counts from 1, None is the last, normed."""
    return model.features(wav, sr, layer)


def load_codebook(layer: int | None = None, k: int | None = None, **source: Any) -> Codebook:
    """The codebook of a layer with k codes; where the zoo has several sizes, 500 is the default."""
    where = Source(**source)
    sizes = {} if where.checkpoint else {row.k for row in table.rows(where.zoo, "codebook", where.registry)}
    row = where.find("codebook", k=500 if k is None and 500 in sizes else k, layer=layer)
    loaded = codebook_file.load(where.path(row))
    _check_size("k", k if row is None else row.k, loaded.k, "the codebook's number of codes")
    point = _agreed(loaded.operating_point, row, where, k=loaded.k, layer=layer)
    return Codebook(loaded.codes.to(where.map_location), point)


def empty_quantizer(codebook_size: int, codebook_dim: int, lmbda: float, num_neighbors: int | None) -> DPDPQuantizer:
    """A quantiser whose codebook is still zero."""
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
    """A quantiser over a given codebook, or over the zoo's of k codes with the zoo's number of neighbours."""
    if codebook is not None:
        if k is not None or source.get("checkpoint") is not None:
            raise ValueError(
                must("codebook", "given alone, or left out where k or checkpoint is given", "given with them")
            )
        if lmbda is None:
            raise ValueError(must("lmbda", "a number >= 0", lmbda, "0 takes the nearest code."))
        return DPDPQuantizer(codebook, lmbda, num_neighbors).eval()
    loaded = load_codebook(layer, k, **source)
    point = _point_of_units(loaded, lmbda, num_neighbors, Source(**source))
    made = DPDPQuantizer(loaded.codes, point.lmbda, point.num_neighbors)  # pyright: ignore[reportArgumentType]
    made.operating_point = point
    return made.eval()


def _point_of_units(book: Codebook, lmbda: float | None, num_neighbors: int | None, where: Source) -> OperatingPoint:
    """Fill in lambda and the neighbours: as given, else as the codebook or the zoo's only point has them."""
    known = book.operating_point or OperatingPoint(zoo=where.zoo)  # a codebook serves any lambda
    listed = [] if where.checkpoint else [p for p in table.operating_points(where.zoo, where.registry) if p.k == book.k]
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
    """The unit language model of an operating point, and its tokenizer."""
    where = Source(**source)
    row = where.find("ulm", variant=where.variant("ulm", variant), k=k, lmbda=lmbda)
    model = mistral_ulm.load(where.path(row))
    size = model.config.vocab_size - 1
    _check_size("k", k if row is None else row.k, size, "the language model's number of units")
    return _placed(model, row, where, k=size, lmbda=lmbda), UnitTokenizer(size)


def plm(tokenizer: str | Path | None = None, **source: Any) -> tuple[UnitLM, PhonemeTokenizer]:
    """The phoneme language model, and its tokenizer."""
    where = Source(**source)
    if where.checkpoint is not None and tokenizer is None:
        raise ValueError(must("tokenizer", "given beside `checkpoint`", None, "It is the JSON with `phoneme_to_id`."))
    model = mistral_ulm.load(where.path(where.find("plm"))).to(where.map_location)
    names = Source(zoo=where.zoo, checkpoint=tokenizer, progress=where.progress, registry=where.registry)
    reader = PhonemeTokenizer.from_file(names.path(names.find("plm_tokenizer")))
    if reader.vocab_size > model.config.vocab_size:
        raise ValueError(f"The tokenizer has {reader.vocab_size} ids, the model only {model.config.vocab_size}.")
    return model, reader


def ellav(variant: str = "units", *, k: int | None = None, lmbda: float | None = None, **source: Any) -> EllaV:
    """The acoustic model of an operating point, or the one for phonemes."""
    where = Source(**source)
    row = where.find("ellav", variant=variant, k=k, lmbda=lmbda)
    model = ellav_package.load(where.path(row))
    if variant != "units":
        return model.to(where.map_location)
    if model.longest_seconds is None and row is not None:
        model.longest_seconds = row.longest_seconds
    size = model.tokenizer.num_phone_types
    _check_size("k", k if row is None else row.k, size, "the acoustic model's number of units")
    return _placed(model, row, where, k=size, lmbda=lmbda)


def codec(variant: str | None = None, **source: Any) -> WavTokenizer:
    """The codec; the zoo's first where no variant is named."""
    where = Source(**source)
    row = where.find("wavtokenizer", variant=where.variant("wavtokenizer", variant))
    return wavtokenizer.load(where.path(row)).to(where.map_location)


def codec_with_verbs(
    variant: str, pretrained: bool = True, **source: Any
) -> tuple[WavTokenizer, Callable[..., Tensor], Callable[..., tuple[Tensor, int]]]:
    """The codec and the published closures around `encode` and `decode`."""
    if not pretrained:
        model = WavTokenizer(wavtokenizer.CONFIGS[variant]).eval()
        return model.to(Source(**source).map_location), _encode, _decode
    return codec(variant, **source), _encode, _decode


def _encode(model: WavTokenizer, wav: Tensor, sr: int) -> Tensor:
    """Codes (1, 1, frames) of a wav (1, samples) at `sr` Hz."""
    return model.encode(wav, sr)


def _decode(model: WavTokenizer, codes: Tensor) -> tuple[Tensor, int]:
    """Wav (1, frames * hop) of codes (1, 1, frames), and its sample rate."""
    return model.decode(codes)


def pipeline(
    k: int | None = None,
    lmbda: float | None = None,
    *,
    with_ulm: bool = True,
    with_speech: bool = True,
    dtype: torch.dtype | None = None,
    weights: Scheme | None = None,
    **source: Any,
) -> Pipeline:
    """The parts of one operating point; k=500, lmbda=4500 is the default of the published zoo.

    Without a language model and a synthesiser, lambda may be any number >= 0. `dtype` is that of all parts, as
    `.to(dtype)` gives it; `weights` rounds those of the language model and of ELLA-V to bytes, for decoding on a CPU
    (`slmcore.layers.int8`).
    """
    if source.get("checkpoint") is not None:
        raise ValueError(
            "A pipeline has several checkpoints. Load its parts, and give them to slmzoo.pipeline.Pipeline."
        )
    where = Source(**source)
    k, lmbda = default_point(k, lmbda, where)
    if with_ulm or with_speech:
        row = table.find("ulm", zoo=where.zoo, k=k, lmbda=lmbda, registry=where.registry)
        k, lmbda = row.k, row.lmbda
    model, tokenizer = ulm(k=k, lmbda=lmbda, **source) if with_ulm else (None, None)
    speaker = Synthesizer(ellav(k=k, lmbda=lmbda, **source), codec(**source)) if with_speech else None
    made = Pipeline(wavlm(**source)[0], quantizer(k=k, lmbda=lmbda, **source), model, tokenizer, speaker)
    made = made if dtype is None else made.to(dtype)
    for decoder in (model, speaker.ellav if speaker else None):
        if decoder is not None and weights is not None:
            quantize_linears(decoder.transformer, weights)
    return made


def language_model(
    k: int | None = None,
    lmbda: float | None = None,
    *,
    dtype: torch.dtype | None = None,
    weights: Scheme | None = None,
    **source: Any,
) -> tuple[UnitLM, UnitTokenizer]:
    """The language model of a `pipeline` and its tokenizer, without what they do not need. Arguments as there."""
    k, lmbda = default_point(k, lmbda, Source(**source))
    model, tokenizer = ulm(k=k, lmbda=lmbda, **source)
    model = model if dtype is None else model.to(dtype)
    if weights is not None:
        quantize_linears(model.transformer, weights)
    return model, tokenizer


def default_point(k: int | None, lmbda: float | None, where: Source) -> tuple[int | None, float | None]:
    """The operating point, or the default of the published zoo where none is named."""
    return (500, 4500) if where.zoo == "dp-slm" and k is None and lmbda is None else (k, lmbda)


def _placed(model: Any, row: Row | None, where: Source, **given: Any) -> Any:
    """The model on its device, with what is known of its operating point."""
    model.operating_point = _agreed(model.operating_point, row, where, **given)
    return model.to(where.map_location)


def _agreed(held: OperatingPoint | None, row: Row | None, where: Source, **given: Any) -> OperatingPoint:
    """Join what file, table and caller say; a ValueError where they disagree, a warning where none knows lambda."""
    said = OperatingPoint(zoo=held.zoo if held else where.zoo, **given)
    for other, name in (
        (row.operating_point if row else None, "The file and the table's row"),
        (said, "The file and k, lmbda"),
    ):
        if held is not None:
            held.check_compatible(other, name)
    known = [point for point in (held, row.operating_point if row else None, said) if point is not None]
    fields = ("encoder", "layer", "k", "lmbda", "num_neighbors")
    joined = {f: next((getattr(p, f) for p in known if getattr(p, f) is not None), None) for f in fields}
    if joined["lmbda"] is None and "lmbda" in given:
        _warn_once(f"The lambda of {Path(str(where.checkpoint)).name} is not known: give lmbda= to have it checked.")
    return OperatingPoint(zoo=known[0].zoo, **joined)


@lru_cache(maxsize=256)
def _warn_once(message: str) -> None:
    logger.warning(message)


def _check_size(name: str, asked: int | None, found: int, what: str) -> None:
    if asked is not None and asked != found:
        raise ValueError(must(name, f"{what} ({found})", asked))
