"""Speech to units, units to likelihood, units to speech: the parts of an operating point as one module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpdp import DPDPQuantizer
from mistral_ulm import UnitLM, UnitTokenizer
from slmcore import audio
from slmcore.checks import whole
from slmcore.errors import must
from slmcore.units import OperatingPoint, Units
from slmzoo.segments import cut
from slmzoo.synthesizer import Speech, Synthesizer, joined
from wavlm_codebooks import WavLM

__all__ = ["Continuation", "Pipeline", "Speech", "Synthesizer"]


@dataclass(frozen=True, eq=False)
class Continuation:
    """Speech that goes on from a prompt, or from nothing."""

    speech: Speech
    """What was asked for: the continuation alone, or the prompt's resynthesis and the continuation."""
    prompt: Tensor
    """Units of the prompt, int64 (n,), on the CPU; empty without one."""
    units: Tensor
    """The new units, int64 (m,), on the CPU."""
    log_probs: Tensor
    """Natural log-probability of each new unit, float32 (m,)."""
    finished: bool
    """Whether the language model ended the utterance itself."""

    def __repr__(self) -> str:
        end = "ended" if self.finished else "not ended"
        return f"Continuation({len(self.prompt)} units continued by {len(self.units)}, {end}: {self.speech!r})"


class Pipeline(nn.Module):
    """Encoder, quantiser, unit language model with its tokenizer, and synthesiser that belong together.

    The last three may be missing; what needs them then raises a ValueError. All are put in evaluation mode.
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
        self.eval()

    @property
    def operating_point(self) -> OperatingPoint | None:
        """Where the units lie."""
        return self.quantizer.operating_point

    @torch.no_grad()
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
        return self.ulm.loglikelihood(self.tokenizer.encode(_plain(units)))

    def loglikelihoods(
        self, sequences: Sequence[Units | Sequence[int] | Tensor], reduction: str = "sum"
    ) -> list[float]:
        """Log-likelihood of each of many sequences of units, in nats; "mean" divides by their number of units.

        A sequence is what `loglikelihood` takes.
        """
        if self.ulm is None or self.tokenizer is None:
            raise ValueError("This pipeline was made without a language model. Load it with one.")
        return self.ulm.loglikelihoods([self.tokenizer.encode(_plain(units)) for units in sequences], reduction)

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
        units: Units | None = None,
        keep_durations: bool | None = None,
    ) -> list[Speech]:
        """Speech to units and back, `num_samples` times: wav (1, samples) at `sr` Hz.

        Speech that is longer than the acoustic model's longest segment is cut at pauses. Each segment is encoded as an
        utterance of its own, since that is what the models have learnt from, and the inside of long pauses is silence.
        `top_p=0` is greedy. `max_tokens` limits the steps for a segment; None is enough for all its units. `units`:
        those of all of `wav` where they are known; they are then cut. `keep_durations` lets each unit last as long as
        in `wav`, whatever `max_codec_tokens_per_phone` says; None does so for long speech.
        """
        num_samples = whole("num_samples", num_samples, 1)
        if self.synthesizer is None:
            raise ValueError("This pipeline was made without a synthesiser. Load it with one.")
        stretches = self.synthesizer.stretches(wav, sr)
        long = not self.synthesizer.is_short(wav, sr)
        if units is None:
            segments = [self.units(wav[..., a:b], sr) for a, b in stretches]
        else:
            segments = cut(units, [(a / sr, b / sr) for a, b in stretches]) if long else [units]
        keep = long if keep_durations is None else keep_durations
        spoken = self.synthesizer(
            segments * num_samples, temperature, top_p, max_codec_tokens_per_phone, max_tokens, seed, keep
        )
        edges = [0, *(edge for stretch in stretches for edge in stretch), wav.shape[-1]]
        silences = [(b - a) / sr for a, b in zip(edges[::2], edges[1::2], strict=True)]
        return [joined(spoken[i : i + len(segments)], silences) for i in range(0, len(spoken), len(segments))]

    def continue_speech(
        self,
        wav: Tensor | None = None,
        sr: int | None = None,
        prompt_seconds: float = 3.0,
        *,
        max_new_units: int = 150,
        num_samples: int = 1,
        joined: bool = True,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        speech_temperature: float = 1.0,
        speech_top_p: float = 0.8,
        max_codec_tokens_per_phone: int = 10,
        seed: int = 0,
    ) -> list[Continuation]:
        """Let the language model go on from the first `prompt_seconds` of speech (0: all of it), or from nothing.

        wav (1, samples) at `sr` Hz, or neither. Units are drawn with `temperature`, `top_k` and `top_p`, and spoken by
        ELLA-V with `speech_temperature` and `speech_top_p`. `joined` gives the prompt's resynthesis and the
        continuation in one; otherwise the prompt, which is spoken all the same, is cut off.
        """
        if self.ulm is None or self.synthesizer is None:
            raise ValueError("This pipeline was made without a language model or synthesiser. Load it with both.")
        prompt = self._prompt(wav, sr, prompt_seconds)
        new = self.ulm.generate(
            [prompt],
            max_new_units,
            temperature,
            top_k,
            top_p,
            0 if len(prompt) else 1,
            num_samples=num_samples,
            seed=seed,
        )
        spoken = self.synthesizer(
            [torch.cat([prompt, units]) for units in new.units],
            speech_temperature,
            speech_top_p,
            max_codec_tokens_per_phone,
            seed=seed,
        )
        if not joined:
            spoken = [_without_start(speech, len(prompt), self.synthesizer.codec.hop) for speech in spoken]
        rows = zip(spoken, new.units, new.log_probs, new.finished, strict=True)
        return [Continuation(speech, prompt, *rest) for speech, *rest in rows]

    def _prompt(self, wav: Tensor | None, sr: int | None, seconds: float) -> Tensor:
        if (wav is None) != (sr is None):
            raise ValueError("Give both `wav` and `sr`, or neither to begin from nothing.")
        if not 0 <= seconds < float("inf"):
            raise ValueError(must("prompt_seconds", "a number of seconds >= 0", seconds, "0 takes all of the speech."))
        if wav is None or sr is None:
            return torch.zeros(0, dtype=torch.int64)
        return self.units(wav[..., : round(seconds * sr)] if seconds else wav, sr).units.cpu()


def _plain(units: Units | Sequence[int] | Tensor) -> Sequence[int] | Tensor:
    return units.units if isinstance(units, Units) else units


def _without_start(speech: Speech, units: int, hop: int) -> Speech:
    """Speech without its first units."""
    codes = int(speech.durations[:units].sum())
    wav, rest = speech.wav[:, codes * hop :], speech.durations[units:]
    return Speech(wav, speech.sample_rate, speech.codes[codes:], speech.finished, rest)


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
