"""Units to speech: the acoustic model and the codec whose tokens it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ellav import EllaV
from slmcore import audio
from slmcore.errors import must
from slmcore.pauses import stretches
from slmcore.units import Units
from slmzoo.segments import codec_tokens
from wavtokenizer import WavTokenizer

__all__ = ["Speech", "Synthesizer", "joined"]

_LONGEST_SECONDS = 30.0
"""Longest segment of an acoustic model that does not say it, as the published ones do not."""
_USUAL = 0.8
"""Usual length of a segment beside the longest, since the longest utterances are rare in training."""
_TOLERANCE, _TOLERANCE_SECONDS = 0.2, 0.1
"""How much longer or shorter than its units speech may be: this share of them, or so many seconds if that is more."""


@dataclass(frozen=True, eq=False)
class Speech:
    """Speech made from units."""

    wav: Tensor
    """float32 (1, samples), on the synthesiser's device; of length zero if no codec token was generated. Between the
    segments of long speech lie pauses, as zeros without codec tokens."""
    sample_rate: int
    codes: Tensor
    """The codec tokens behind it, int64 (n,), on the CPU."""
    finished: bool
    """Whether every unit was spoken and, where the units have durations, each segment lasts as long as its units, to
    20 % or 0.1 s. Otherwise the steps ran out, or speech was lost or added."""
    durations: Tensor
    """Codec tokens of each unit begun, segment by segment, int64 (units,), on the CPU."""
    wanted_seconds: float | None = None
    """How long the units, and the pauses between segments, last in the speech that they were found in; None for units
    without durations."""

    def __repr__(self) -> str:
        whole = "" if self.finished else ", not finished"
        return f"Speech({self.seconds:.2f} s at {self.sample_rate} Hz, {len(self.codes)} codec tokens{whole})"

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.wav.shape[1] / self.sample_rate

    @property
    def empty(self) -> bool:
        """Whether nothing was generated."""
        return self.wav.shape[1] == 0


class Synthesizer(nn.Module):
    """Units to speech: ELLA-V and the codec whose tokens it speaks."""

    def __init__(self, ellav: EllaV, codec: WavTokenizer) -> None:
        super().__init__()
        tokenizer = ellav.tokenizer
        if (tokenizer.num_codec_types, tokenizer.codec_token_rate) != (codec.num_codes, codec.frame_rate):
            raise ValueError(
                f"ELLA-V speaks {tokenizer.num_codec_types} codec tokens at {tokenizer.codec_token_rate} Hz, the codec "
                f"{codec.num_codes} at {codec.frame_rate} Hz. Load the codec that ELLA-V was trained with."
            )
        self.ellav, self.codec = ellav, codec

    @property
    def longest_seconds(self) -> float:
        """Longest speech that is spoken in one segment: what the acoustic model was trained on, 30 s if unknown."""
        return self.ellav.longest_seconds or _LONGEST_SECONDS

    def is_short(self, wav: Tensor, sr: int) -> bool:
        """Whether speech (channels, samples) is spoken in one segment."""
        return wav.shape[-1] <= int(self.longest_seconds * sr)

    def stretches(self, wav: Tensor, sr: int) -> list[tuple[int, int]]:
        """Samples (start, end) of each stretch of speech (channels, samples) to be spoken in one segment.

        Short speech is one stretch. Between those of long speech lie pauses (`slmcore.pauses.stretches`).
        """
        longest = self.longest_seconds
        return stretches(audio.mono(wav), sr, longest, max(1.0, _USUAL * longest))

    def forward(
        self,
        prompts: Sequence[Tensor | Units],
        temperature: float = 1.0,
        top_p: float = 0.8,
        max_codec_tokens_per_phone: int = 10,
        max_tokens: int | None = None,
        seed: int = 0,
        keep_durations: bool = False,
    ) -> list[Speech]:
        """Speak `prompts` in one batch: units int64 (n_i,) each, or `Units`, whose durations tell if speech was lost.

        `max_tokens` None is enough for any of them. `keep_durations` lets each unit last as long as its duration says,
        instead of as long as the model finds, up to `max_codec_tokens_per_phone`; all prompts must then be `Units`.
        """
        names = [[f"u{unit}" for unit in _ids(prompt).tolist()] for prompt in prompts]
        lengths = [self._lengths(prompt) for prompt in prompts] if keep_durations else None
        if max_tokens is None:
            each = max_codec_tokens_per_phone + 3
            steps = [len(n) * each for n in names] if lengths is None else [int((x + 2).sum()) for x in lengths]
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
        wavs = self.codec.decode_batch(codes)
        return [self._speech(*parts) for parts in zip(prompts, wavs, codes, finished, durations, strict=True)]

    def _lengths(self, prompt: Tensor | Units) -> Tensor:
        if not isinstance(prompt, Units):
            raise ValueError(must("prompts", "Units with durations where these are kept", "a tensor of units"))
        return codec_tokens(prompt, self.codec.frame_rate)

    def _speech(self, prompt: Tensor | Units, wav: Tensor, codes: Tensor, finished: bool, durations: Tensor) -> Speech:
        made, wanted = wav.shape[0] / self.codec.sample_rate, None
        if isinstance(prompt, Units):
            wanted = prompt.seconds
            finished = finished and abs(made - wanted) <= max(_TOLERANCE * wanted, _TOLERANCE_SECONDS)
        return Speech(wav[None], self.codec.sample_rate, codes, finished, durations, wanted)


def joined(segments: Sequence[Speech], silences: Sequence[float]) -> Speech:
    """Return segments of speech as one, with `silences` in seconds before, between and behind them."""
    first, wanted = segments[0], [s.wanted_seconds for s in segments if s.wanted_seconds is not None]
    quiet = [first.wav.new_zeros(1, round(seconds * first.sample_rate)) for seconds in silences]
    wavs = [part for pair in zip(quiet, [s.wav for s in segments], strict=False) for part in pair]
    return Speech(
        torch.cat([*wavs, quiet[-1]], 1),
        first.sample_rate,
        torch.cat([s.codes for s in segments]),
        all(s.finished for s in segments),
        torch.cat([s.durations for s in segments]),
        sum(wanted) + sum(silences) if len(wanted) == len(segments) else None,
    )


def _ids(prompt: Tensor | Units) -> Tensor:
    return prompt.units if isinstance(prompt, Units) else prompt
