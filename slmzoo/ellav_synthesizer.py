"""Synthesiser of ELLA-V and the codec of its tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ellav import EllaV
from slmcore.errors import must
from slmcore.layers.int8 import Scheme
from slmcore.roles import UnitSequence
from slmcore.speech import Speech
from slmcore.units import OperatingPoint, Units
from slmzoo.segments import codec_tokens
from wavtokenizer import WavTokenizer

__all__ = ["EllaVSynthesizer"]

_LONGEST_SECONDS = 30.0
"""Longest segment of an acoustic model that states none, as the published ones."""
_AT_ONCE = 64
"""Sequences that the codec decodes at once, to bound the memory for hours of speech."""
_TOLERANCE, _TOLERANCE_SECONDS = 0.2, 0.1
"""Tolerated difference in duration between speech and its units: this fraction, or so many seconds if that is more."""


class EllaVSynthesizer(nn.Module):
    """Units to speech by ELLA-V (arXiv 2401.07333) and WavTokenizer (arXiv 2408.16532)."""

    def __init__(self, ellav: EllaV, codec: WavTokenizer) -> None:
        super().__init__()
        tokenizer = ellav.tokenizer
        if (tokenizer.num_codec_types, tokenizer.codec_token_rate) != (codec.num_codes, codec.frame_rate):
            raise ValueError(
                f"ELLA-V speaks {tokenizer.num_codec_types} codec tokens at {tokenizer.codec_token_rate} Hz, the codec "
                f"{codec.num_codes} at {codec.frame_rate} Hz. Load the codec that ELLA-V was trained with."
            )
        self.ellav, self.codec = ellav, codec
        self.eval()

    @property
    def models(self) -> dict[str, EllaV | WavTokenizer]:
        """Models that it is composed of, by the names of its arguments."""
        return {"ellav": self.ellav, "codec": self.codec}

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.ellav.device

    @property
    def operating_point(self) -> OperatingPoint | None:
        """Operating point of its units."""
        return self.ellav.operating_point

    @property
    def k(self) -> int:
        """Number of units."""
        return self.ellav.tokenizer.num_phone_types

    @property
    def frame_rate(self) -> float:
        """Frames per second of the units that it speaks."""
        return self.ellav.tokenizer.phone_token_rate

    @property
    def sample_rate(self) -> int:
        """Hz of the speech."""
        return self.codec.sample_rate

    @property
    def longest_segment(self) -> float:
        """Longest segment that the acoustic model was trained on, seconds; 30 if unknown."""
        return self.ellav.longest_seconds or _LONGEST_SECONDS

    def quantize(self, scheme: Scheme) -> None:
        """Round ELLA-V's weights to int8, for decoding on a CPU."""
        self.ellav.quantize(scheme)

    def speak(
        self,
        units: Sequence[UnitSequence],
        *,
        temperature: float = 1.0,
        top_p: float = 0.8,
        max_codec_tokens_per_phone: int = 10,
        max_tokens: int | None = None,
        seed: int = 0,
        keep_durations: bool = False,
    ) -> list[Speech]:
        """Synthesise several sequences of units; the durations of `Units` reveal whether speech was lost.

        `max_tokens` None is enough for any of them. `keep_durations` gives each unit its own duration, instead of one
        chosen by the model up to `max_codec_tokens_per_phone`; all sequences must then be `Units`.
        """
        names = [[f"u{unit}" for unit in _ids(each)] for each in units]
        lengths = [self._lengths(each) for each in units] if keep_durations else None
        if max_tokens is None:
            most = max_codec_tokens_per_phone + 3
            steps = [len(n) * most for n in names] if lengths is None else [int((x + 2).sum()) for x in lengths]
            max_tokens = max(steps) + 3
        codes, finished, durations = self.ellav.generate(
            names,
            max_tokens,
            max_codec_tokens_per_phone,
            temperature,
            top_p,
            seed=seed,
            durations=lengths,
            return_durations=True,
        )
        wavs = [wav for i in range(0, len(codes), _AT_ONCE) for wav in self.codec.decode_batch(codes[i : i + _AT_ONCE])]
        return [self._speech(*parts) for parts in zip(units, wavs, codes, finished, durations, strict=True)]

    def _lengths(self, prompt: UnitSequence) -> Tensor:
        if not isinstance(prompt, Units):
            raise ValueError(must("units", "Units with durations where these are kept", "units without durations"))
        return codec_tokens(prompt, self.codec.frame_rate)

    def _speech(self, prompt: UnitSequence, wav: Tensor, codes: Tensor, finished: bool, durations: Tensor) -> Speech:
        made, wanted = wav.shape[0] / self.codec.sample_rate, None
        if isinstance(prompt, Units):
            wanted = prompt.seconds
            finished = finished and abs(made - wanted) <= max(_TOLERANCE * wanted, _TOLERANCE_SECONDS)
        rate, frame_rate = self.codec.sample_rate, self.codec.frame_rate
        return Speech(wav[None], rate, codes, finished, durations, frame_rate, wanted)


def _ids(units: UnitSequence) -> list[int]:
    return torch.as_tensor(units.units if isinstance(units, Units) else units).tolist()
