"""Tokenizers of speech under one interface: units of a quantiser, and the levels of a codec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slmcore import audio
from slmcore.errors import must
from slmcore.layers.vq import ResidualVQ
from slmcore.roles import Codec, greedy_options
from slmcore.units import Codes
from slmzoo.pipeline import Pipeline

__all__ = ["Speak", "Tokenizer", "codec_tokens", "tokens_of", "unit_tokens"]


Speak = Callable[[Tensor, int, Tensor], tuple[Tensor, int]]
"""Resynthesis (1, samples) and its rate, of a waveform, its rate, and its first tokens (n, T)."""


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Speech to streams of tokens and, where there is a way, back."""

    streams: int
    """Tokens of each frame."""
    size: int
    """Kinds of tokens in a stream."""
    encode: Callable[[Tensor, int], Tensor]
    """Tokens (streams, T), int64 on the CPU, of a waveform (1, samples) and its rate in Hz."""
    speak: Speak | None
    vectors: Tensor | None = None
    """Code vectors (streams, size, dim), float32 on the CPU, if they are known."""
    units: bool = False
    """Whether the tokens are units, whose resynthesis has a timing of its own."""

    def label(self, streams: int) -> str:
        """Return the name of the first `streams` streams, in the paper's terms."""
        if self.streams == 1:
            return "units" if self.units else "codes"
        return "RVQ-1" if streams == 1 else f"RVQ-1:{streams}"

    def numbers(self, wanted: Sequence[int]) -> list[int]:
        """Return the numbers of streams to score: those `wanted`, or the first alone and all.

        Raises ValueError for more streams than there are.
        """
        wrong = [number for number in wanted if not 1 <= number <= self.streams]
        if wrong:
            raise ValueError(must("levels", f"from 1 to {self.streams}, all that there are", wrong[0]))
        return sorted(set(wanted or (1, self.streams)))


def tokens_of(pipeline: Pipeline, codes: bool = False, seed: int = 0) -> Tokenizer:
    """Return the tokenizer of a pipeline: its units, or its codec's levels with `codes` or where no synthesiser is.

    Raises ValueError for `codes` of a pipeline without a codec.
    """
    alone = pipeline.synthesizer is None and pipeline.codec is not None
    if not (codes or alone):
        return unit_tokens(pipeline, seed)
    if pipeline.codec is None:
        raise ValueError(must("codes", "left out for a system without a codec", codes))
    return codec_tokens(pipeline.codec)


def unit_tokens(pipeline: Pipeline, seed: int = 0) -> Tokenizer:
    """Return the framewise units of a pipeline; speech is made of them greedily where it can be, else from `seed`."""
    synthesizer, codebook = pipeline.synthesizer, getattr(pipeline.quantizer, "codebook", None)

    def speak(wav: Tensor, sr: int, tokens: Tensor) -> tuple[Tensor, int]:
        made = pipeline.resynthesize(wav, sr, seed=seed, **greedy_options(synthesizer))[0]
        return made.wav.cpu(), made.sample_rate

    return Tokenizer(
        streams=1,
        size=pipeline.k,
        encode=lambda wav, sr: pipeline.units(wav, sr).framewise().cpu()[None],
        speak=None if synthesizer is None else speak,
        vectors=codebook.detach().float().cpu()[None] if isinstance(codebook, Tensor) else None,
        units=True,
    )


def codec_tokens(codec: Codec) -> Tokenizer:
    """Return the levels of a codec; speech is made of the first of them."""

    def speak(wav: Tensor, sr: int, tokens: Tensor) -> tuple[Tensor, int]:
        made = codec.decode_codes(Codes(tokens, codec.frame_rate, codec.num_codes))
        return made.detach().float().cpu(), codec.sample_rate

    return Tokenizer(
        streams=codec.num_codebooks,
        size=codec.num_codes,
        encode=lambda wav, sr: codec.encode_wav(audio.mono(wav), sr).codes.cpu(),
        speak=speak,
        vectors=_vectors(codec),
    )


@torch.no_grad()
def _vectors(codec: Codec) -> Tensor | None:
    """Code vectors of a codec whose levels quantise in one space."""
    quantizer = getattr(codec, "quantizer", None)
    if not isinstance(quantizer, ResidualVQ):
        return None
    every = torch.arange(codec.num_codes, device=quantizer.first.embed.device)
    levels = quantizer.vectors(every.expand(codec.num_codebooks, 1, -1))
    return torch.stack([level[0].mT for level in levels]).float().cpu()
