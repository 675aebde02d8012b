"""Speech to units, units to likelihood, units to speech: the parts of an operating point as one module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from dpdp import DPDPQuantizer
from ellav import EllaV
from mistral_ulm import UnitLM, UnitTokenizer
from slmcore import audio
from slmcore.errors import must
from slmcore.units import OperatingPoint, Units
from wavlm_codebooks import WavLM
from wavtokenizer import WavTokenizer

__all__ = ["Pipeline", "Speech", "Synthesizer"]

LONGEST_PIECE = 30.0
"""Seconds of speech that are synthesised in one piece; longer speech is cut at pauses."""


@dataclass(frozen=True, eq=False)
class Speech:
    """Speech made from units."""

    wav: Tensor
    """float32 (1, samples), on the synthesiser's device; of length zero if no codec token was generated."""
    sample_rate: int
    codes: Tensor
    """The codec tokens behind it, int64 (n,), on the CPU."""
    finished: bool
    """Whether every unit was spoken; otherwise the steps ran out."""

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

    def forward(
        self,
        prompts: Sequence[Tensor],
        temperature: float = 1.0,
        top_p: float = 0.8,
        max_codec_tokens_per_phone: int = 10,
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> list[Speech]:
        """Speak each of `prompts`, units int64 (n_i,), all in one batch. `max_tokens` None is enough for any of them."""
        names = [[f"u{unit}" for unit in units.tolist()] for units in prompts]
        if max_tokens is None:
            max_tokens = max(len(n) for n in names) * (max_codec_tokens_per_phone + 3) + 3
        codes, finished = self.ellav.generate(
            names, max_tokens, max_codec_tokens_per_phone, temperature, top_p, seed=seed
        )
        wavs = self.codec.decode_batch(codes)
        rate = self.codec.sample_rate
        return [Speech(w[None], rate, c, done) for w, c, done in zip(wavs, codes, finished, strict=True)]


class Pipeline(nn.Module):
    """Encoder, quantiser, unit language model with its tokenizer, and synthesiser that belong together.

    The last three may be missing; what needs them then raises a ValueError.
    A ValueError says which parts do not: by their sizes and rates, and by their operating points as far as known.
    """

    def __init__(
        self,
        encoder: WavLM,
        quantizer: DPDPQuantizer,
        ulm: UnitLM | None = None,
        tokenizer: UnitTokenizer | None = None,
        synthesizer: Synthesizer | None = None,
    ) -> None:
        super().__init__()
        _check_fit(encoder, quantizer, ulm, synthesizer)
        self.encoder, self.quantizer, self.ulm = encoder, quantizer, ulm
        self.tokenizer, self.synthesizer = tokenizer, synthesizer

    @property
    def operating_point(self) -> OperatingPoint | None:
        """Where the units lie."""
        return self.quantizer.operating_point

    @torch.inference_mode()
    def units(self, wav: Tensor, sr: int) -> Units:
        """Units with durations of speech: wav (1, samples) or (channels, samples), float, at `sr` Hz, >= 20 ms."""
        layer = self.operating_point.layer if self.operating_point else None
        return self.quantizer.segment(self.encoder.features(audio.mono(wav), sr, layer))

    def loglikelihood(
        self, units: Units | Sequence[int] | Tensor | None = None, *, wav: Tensor | None = None, sr: int | None = None
    ) -> float:
        """Sum of log p(unit | units before) over deduplicated units, in nats, of units or of a wav at `sr` Hz.

        Units that are given without durations are scored as they are, repeats included.
        """
        if (units is None) == (wav is None) or (wav is None) != (sr is None):
            raise ValueError("Give either `units`, or `wav` and `sr`.")
        if wav is not None and sr is not None:
            units = self.units(wav, sr)
        if self.ulm is None or self.tokenizer is None or units is None:
            raise ValueError("This pipeline was made without a language model. Load it with one.")
        return self.ulm.loglikelihood(self.tokenizer.encode(units.units if isinstance(units, Units) else units))

    def resynthesize(
        self,
        wav: Tensor,
        sr: int,
        num_samples: int = 1,
        *,
        temperature: float = 1.0,
        top_p: float = 0.8,
        max_codec_tokens_per_phone: int = 10,
        max_tokens: int | None = None,
        seed: int = 0,
    ) -> list[Speech]:
        """Speech to units and back, `num_samples` times: wav (1, samples) at `sr` Hz.

        Speech longer than 30 s is synthesised in pieces that are cut at pauses. `top_p=0` is greedy. `max_tokens`
        limits the steps for a piece; None is enough for all its units.
        """
        if isinstance(num_samples, bool) or not isinstance(num_samples, int) or num_samples < 1:
            raise ValueError(must("num_samples", "a whole number >= 1", num_samples))
        if self.synthesizer is None:
            raise ValueError("This pipeline was made without a synthesiser. Load it with one.")
        wav = audio.mono(wav)
        pieces = cut(self.units(wav, sr), [sample / sr for sample in audio.pauses(wav, sr, LONGEST_PIECE)])
        spoken = self.synthesizer(
            pieces * num_samples, temperature, top_p, max_codec_tokens_per_phone, max_tokens, seed
        )
        return [_joined(spoken[i : i + len(pieces)]) for i in range(0, len(spoken), len(pieces))]


def cut(units: Units, seconds: Sequence[float]) -> list[Tensor]:
    """The units (n_i,) of each piece of speech that is cut at `seconds`; a unit belongs to where it starts."""
    starts = units.boundaries()[:-1].cpu()
    places = torch.searchsorted(starts, torch.tensor(list(seconds), dtype=starts.dtype)).tolist()
    edges = [0, *places, len(units)]
    pieces = (units.units[a:b] for a, b in pairwise(edges))
    return [piece for piece in pieces if len(piece)]


def _joined(pieces: Sequence[Speech]) -> Speech:
    return Speech(
        torch.cat([p.wav for p in pieces], 1),
        pieces[0].sample_rate,
        torch.cat([p.codes for p in pieces]),
        all(p.finished for p in pieces),
    )


def _check_fit(encoder: WavLM, quantizer: DPDPQuantizer, ulm: UnitLM | None, synthesizer: Synthesizer | None) -> None:
    k, dim = quantizer.codebook.shape
    sizes: list[tuple[str, str, float, str, float]] = [
        ("feature width", "the encoder", encoder.dim, "the codebook", dim)
    ]
    points = {"encoder": encoder.operating_point, "quantizer": quantizer.operating_point}
    if ulm is not None:
        sizes.append(("number of units", "the codebook", k, "the language model", ulm.config.vocab_size - 1))
        points["language model"] = ulm.operating_point
    if synthesizer is not None:
        speaker = synthesizer.ellav.tokenizer
        sizes.append(("number of units", "the codebook", k, "ELLA-V", speaker.num_phone_types))
        sizes.append(("frames a second", "the encoder", encoder.frame_rate, "ELLA-V", speaker.phone_token_rate))
        points["ELLA-V"] = synthesizer.ellav.operating_point
    for what, one, a, other, b in sizes:
        if a != b:
            raise ValueError(f"These parts do not belong together: {what} is {a} for {one}, but {b} for {other}.")
    known = [(name, point) for name, point in points.items() if point is not None]
    for i, (name, point) in enumerate(known):
        for other, theirs in known[i + 1 :]:
            point.check_compatible(theirs, f"{name} and {other}")
