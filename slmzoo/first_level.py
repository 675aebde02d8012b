"""Systems of a single codec: its encoder, its first codebook under DPDP as quantiser, and the codec itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from dpdp import DPDPQuantizer
from slmcore.errors import must
from slmcore.units import OperatingPoint
from slmzoo.sources import Choice, Source, check_size
from slmzoo.systems import System
from slmzoo.text_to_speech import USLMSpeech
from slmzoo.text_to_speech import load as load_speech

__all__ = ["FirstLevelEncoder", "quantizer_of", "system_of"]


class FirstLevelEncoder(nn.Module):
    """Input features of a codec's first level; the codec has `first_level_features` and `first_codebook`."""

    num_layers = 1

    def __init__(self, codec: Any, operating_point: OperatingPoint | None = None) -> None:
        super().__init__()
        self.codec = codec
        self.operating_point = operating_point

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms that it reads; others are resampled."""
        return self.codec.sample_rate

    @property
    def frame_rate(self) -> float:
        """Feature frames per second."""
        return self.codec.frame_rate

    @property
    def dim(self) -> int:
        """Width of the features."""
        return self.codec.first_codebook.shape[1]

    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        """Return features (frames, dim) of a waveform (1, samples) at `sr` Hz; there is one layer.

        Raises ValueError for another shape, a rate <= 0, values that are not finite, or less than 20 ms.
        """
        return self.features_batch([wav], sr, layer)[0]

    def features_batch(self, wavs: Sequence[Tensor], sr: int, layer: int | None = None) -> list[Tensor]:
        """Return the features of each waveform, as if alone."""
        if layer not in (None, 1):
            raise ValueError(must("layer", "1 or left out for the encoder of a codec", layer))
        return self.codec.first_level_features(wavs, sr)


def quantizer_of(codec: Any, wanted: Choice, point: OperatingPoint) -> DPDPQuantizer:
    """Return DPDP over the first codebook of a codec; lambda 0, the default, gives the codec's own codes.

    Raises ValueError for a k that is not the codebook's size.
    """
    book: Tensor = codec.first_codebook
    check_size("k", wanted.k, len(book), "the size of the codec's first codebook")
    lmbda = 0.0 if wanted.lmbda is None else wanted.lmbda
    near = len(book) if wanted.num_neighbors is None else wanted.num_neighbors
    at = OperatingPoint(zoo=point.zoo, encoder=point.encoder, k=len(book), lmbda=lmbda, num_neighbors=near)
    made = DPDPQuantizer(book, lmbda, near, frame_rate=codec.frame_rate, operating_point=at)
    return made.eval()


def system_of(kind: str, load: Callable[..., Any]) -> System:
    """Return the system of a codec; `load` takes a variant and `where`. All roles share one model."""

    def codec(where: Source, wanted: Choice) -> Any:
        return where.once(kind, wanted.variant, lambda: load(wanted.variant, where=where))

    def point(where: Source) -> OperatingPoint:
        row = where.found.get(kind)
        return OperatingPoint(zoo=where.zoo, encoder="_".join(filter(None, (kind, row.variant if row else None))))

    def encoder(where: Source, wanted: Choice) -> FirstLevelEncoder:
        model = codec(where, wanted)
        return FirstLevelEncoder(model, point(where)).eval()

    def quantizer(where: Source, wanted: Choice) -> DPDPQuantizer:
        model = codec(where, wanted)
        return quantizer_of(model, wanted, point(where)).to(where.map_location)

    def speech(where: Source, wanted: Choice) -> USLMSpeech:
        # A checkpoint is that of the language model.
        of_codec = where if where.checkpoint is None else replace(where, checkpoint=None)
        return load_speech(lambda variant: load(variant, where=of_codec), kind, where, wanted.variant)

    roles: dict[str, Any] = {"encoder": encoder, "quantizer": quantizer, "codec": codec, "text_to_speech": speech}
    return System(name=kind, parts=(kind,), **roles)
