"""Pipeline of speech to units, units to likelihood, and units to speech: all models of an operating point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from slmcore import audio
from slmcore.checks import whole
from slmcore.errors import must
from slmcore.files.card import Card
from slmcore.files.pretrained import Publishable, local_folder
from slmcore.files.rows import Row
from slmcore.roles import (
    Codec,
    Encoder,
    Quantizer,
    Synthesizer,
    UnitLanguageModel,
    UnitSequence,
    options_of,
    point_of,
    usual_new_units,
)
from slmcore.speech import Continuation, Speech
from slmcore.units import Codes, OperatingPoint, Units
from slmzoo.compatibility import check_codec_alone, check_fit
from slmzoo.saved import ROLES, card_of_pipeline, read_pipeline, write_pipeline
from slmzoo.segments import cut, is_short, segments_of
from slmzoo.streaming import SpeechStream, Timing, UnitStream

__all__ = ["Continuation", "Pipeline", "Speech"]


class Pipeline(nn.Module, Publishable):
    """Encoder, quantiser, unit language model, synthesiser and codec that belong together (`slmcore.roles`).

    There is an encoder and a quantiser, or a codec; a method whose role is missing raises a ValueError that names it.
    All parts are set to evaluation mode. Parts that do not fit together, by sizes, rates or known operating points, are
    refused. `sources` keeps the registry rows of the parts, by kind.

    Example: `Pipeline(wavlm, quantizer, ulm).loglikelihood(wav=wav, sr=16000)`
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        quantizer: Quantizer | None = None,
        ulm: UnitLanguageModel | None = None,
        tokenizer: Any = None,
        synthesizer: Synthesizer | None = None,
        codec: Codec | None = None,
        *,
        sources: Mapping[str, Row] | None = None,
    ) -> None:
        super().__init__()
        if encoder is None or quantizer is None:
            check_codec_alone(encoder, quantizer, ulm, synthesizer, codec)
        else:
            check_fit(encoder, quantizer, ulm, synthesizer)
        self.encoder, self.quantizer, self.ulm = encoder, quantizer, ulm
        self.tokenizer = getattr(ulm, "tokenizer", None) if tokenizer is None else tokenizer
        self.synthesizer, self._codec = synthesizer, codec
        self.sources = dict(sources or {})
        self.eval()

    @classmethod
    def from_pretrained(cls, path: str | Path) -> Pipeline:
        """Load a saved pipeline, on the CPU: a folder, or `hf://owner/repo`.

        Example: `Pipeline.from_pretrained("my-pipeline").to("cuda")`. Raises FileNotFoundError, or CheckpointError for
        a folder that is damaged.
        """
        parts, sources = read_pipeline(local_folder(path))
        return cls(**parts, sources=sources)

    def save_pretrained(self, folder: str | Path, provenance: Mapping[str, Any] | None = None) -> Path:
        """Write the models by role, a `pipeline.json` that names them, and a model card; return `pipeline.json`.

        `provenance`: where the weights come from, such as recipe, data and licence. A tokenizer other than the language
        model's own is not kept, but a README.md that a person wrote is. Raises ValueError for a part that cannot be
        saved.
        """
        return write_pipeline(Path(folder).expanduser(), self._parts(), self.sources, provenance)

    def model_card(self, address: str, provenance: Mapping[str, Any] | None = None) -> Card:
        """Return the card of the pipeline that `from_pretrained` loads from `address`, a folder or `hf://owner/repo`."""
        return card_of_pipeline(self._parts(), self.sources, address, provenance)

    def _parts(self) -> dict[str, Any]:
        """Return the parts by role."""
        parts = {role: getattr(self, "_codec" if role == "codec" else role) for role in ROLES}
        return {role: part for role, part in parts.items() if part is not None}

    @property
    def device(self) -> torch.device:
        """Device of the first model's weights."""
        return next((tensor.device for tensor in (*self.parameters(), *self.buffers())), torch.device("cpu"))

    @property
    def operating_point(self) -> OperatingPoint | None:
        """Operating point of the units."""
        return point_of(self.quantizer)

    @property
    def codec(self) -> Codec | None:
        """The codec: its own, or that of the synthesiser."""
        return getattr(self.synthesizer, "codec", None) if self._codec is None else self._codec

    @property
    def k(self) -> int:
        """Number of units."""
        return self._quantizer().k

    @property
    def frame_rate(self) -> float:
        """Feature frames per second, the unit of durations; code frames for a pipeline of a codec alone."""
        return self._first().frame_rate

    @property
    def sample_rate(self) -> int:
        """Sample rate of the encoder, or of the codec, Hz; other rates are resampled."""
        return self._first().sample_rate

    @torch.no_grad()
    def units(self, wav: Tensor, sr: int) -> Units:
        """Encode speech as units with durations: float wav (1, samples) or (channels, samples) at `sr` Hz, >= 20 ms."""
        return self._quantizer().segment(self.features(wav, sr))

    def stream(self, sr: int, timing: Timing | None = None) -> UnitStream:
        """Return a stream of units of speech at `sr` Hz that is still being spoken: `push(chunk)`, and `flush()`.

        `timing`: its windows and waits. Raises ValueError, with its name, for a part that cannot be streamed.
        """
        return UnitStream(self._encoder(), self._quantizer(), sr, timing)

    def speech_stream(self, *, seed: int = 0, seconds: float = 1.0, **options: Any) -> SpeechStream:
        """Return a stream of speech made from units as they come: `push(units)`, and `flush()`.

        `seconds`: shortest segment that is spoken; options are the synthesiser's own.
        """
        self._check_options(options)
        return SpeechStream(self._synthesizer(), seed=seed, seconds=seconds, **options)

    @torch.no_grad()
    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        """Return features (frames, dim) of speech; `layer` counts from 1, None is the layer of the units."""
        if layer is None and self.operating_point is not None:
            layer = self.operating_point.layer
        return self._encoder().features(audio.mono(wav), sr, layer)

    def loglikelihood(
        self, units: Units | Sequence[int] | Tensor | None = None, *, wav: Tensor | None = None, sr: int | None = None
    ) -> float:
        """Return the sum of log p(unit | previous units), in nats, of deduplicated units or of a wav at `sr` Hz.

        Units given without durations are scored unchanged, repeats included.
        """
        if (units is None) == (wav is None) or (wav is None) != (sr is None):
            raise ValueError("Give either `units`, or `wav` and `sr`.")
        if wav is not None and sr is not None:
            units = self.units(wav, sr)
        return self.loglikelihoods([cast("UnitSequence", units)])[0]

    def loglikelihoods(self, sequences: Sequence[UnitSequence], reduction: str = "sum") -> list[float]:
        """Return the log-likelihood of each of many sequences of units, in nats; "mean": per unit.

        A sequence is what `loglikelihood` takes.
        """
        if reduction not in ("sum", "mean"):
            raise ValueError(must("reduction", "'sum' or 'mean'", reduction))
        logprobs = self._language_model().logprobs(sequences)
        return [float(x.sum(dtype=torch.float64)) / (len(x) if reduction == "mean" else 1) for x in logprobs]

    def resynthesize(
        self,
        wav: Tensor,
        sr: int,
        num_samples: int = 1,
        *,
        temperature: float | None = None,
        top_p: float | None = None,
        max_codec_tokens_per_phone: int | None = None,
        max_tokens: int | None = None,
        seed: int = 0,
        units: Units | None = None,
        keep_durations: bool | None = None,
    ) -> list[Speech]:
        """Resynthesise speech from its units, `num_samples` times: wav (1, samples) at `sr` Hz.

        Speech longer than the synthesiser's longest segment is cut at pauses. Each segment is encoded as an utterance
        of its own, as in training, and the inside of long pauses is silence. Options left out are the synthesiser's
        own; for ELLA-V `top_p=0` is greedy, and `max_tokens` limits the steps of a segment. `units`: units of the whole
        `wav`, if known; they are then cut. `keep_durations` keeps each unit's duration in `wav`, regardless of
        `max_codec_tokens_per_phone`; None does so for long speech. A system that is only a codec returns its
        reconstruction.
        """
        num_samples = whole("num_samples", num_samples, 1)
        if self.synthesizer is None:
            return [self.copy(wav, sr)] * num_samples
        stretches, long = segments_of(wav, sr, self.synthesizer.longest_segment), not self.is_short(wav, sr)
        if units is None:
            segments = [self.units(wav[..., a:b], sr) for a, b in stretches]
        else:
            segments = cut(units, [(a / sr, b / sr) for a, b in stretches]) if long else [units]
        options = _given(
            temperature=temperature,
            top_p=top_p,
            max_codec_tokens_per_phone=max_codec_tokens_per_phone,
            max_tokens=max_tokens,
            keep_durations=self._keep(keep_durations, long),
        )
        spoken = self._spoken(segments * num_samples, seed, options)
        edges = [0, *(edge for stretch in stretches for edge in stretch), wav.shape[-1]]
        silences = [(b - a) / sr for a, b in zip(edges[::2], edges[1::2], strict=True)]
        return [Speech.joined(spoken[i : i + len(segments)], silences) for i in range(0, len(spoken), len(segments))]

    def is_short(self, wav: Tensor, sr: int) -> bool:
        """Whether `resynthesize` treats speech (channels, samples) as one segment."""
        return is_short(wav, sr, self._synthesizer().longest_segment)

    def _keep(self, asked: bool | None, long: bool) -> bool | None:
        """Return whether units keep their durations; None leaves it to the synthesiser."""
        if asked is None and long and "keep_durations" in options_of(self._synthesizer()):
            return True
        return asked

    @torch.no_grad()
    def codes(self, wav: Tensor, sr: int) -> Codes:
        """Encode speech by the codec, all levels: wav (1, samples) or (channels, samples) at `sr` Hz."""
        if self.codec is None:
            raise ValueError(_missing("codec"))
        return self.codec.encode_wav(audio.mono(wav), sr)

    @torch.no_grad()
    def copy(self, wav: Tensor, sr: int) -> Speech:
        """Reconstruct speech by the codec: wav (1, samples) at `sr` Hz. `codes` are those of the first codebook."""
        if self.codec is None:
            raise ValueError(_missing("synthesiser or codec"))
        codes = self.codes(wav, sr)
        first, rate = codes.codes[0].cpu(), self.codec.frame_rate
        return Speech(self.codec.decode_codes(codes), self.codec.sample_rate, first, True, torch.ones_like(first), rate)

    def continue_speech(
        self,
        wav: Tensor | None = None,
        sr: int | None = None,
        prompt_seconds: float = 3.0,
        *,
        max_new_units: int | None = None,
        num_samples: int = 1,
        joined: bool = True,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        speech_temperature: float | None = None,
        speech_top_p: float | None = None,
        max_codec_tokens_per_phone: int | None = None,
        seed: int = 0,
    ) -> list[Continuation]:
        """Continue the first `prompt_seconds` of speech (0: all of it) by the language model, or speak freely.

        wav (1, samples) at `sr` Hz, or neither. Up to `max_new_units` are sampled by `temperature`, `top_k` and
        `top_p`; the defaults are the language model's own, and 150 units. They are synthesised with
        `speech_temperature` and `speech_top_p`. `joined` returns the prompt's resynthesis and the continuation in one;
        otherwise the prompt, which is synthesised all the same, is cut off.
        """
        ulm, _ = self._language_model(), self._synthesizer()
        prompt = self._prompt(wav, sr, prompt_seconds)
        drawing = _given(
            max_new_units=usual_new_units(ulm) if max_new_units is None else max_new_units,
            top_k=top_k,
            temperature=temperature,
            top_p=top_p,
            min_new_units=0 if len(prompt) else 1,
        )
        new = ulm.generate([prompt], num_samples=num_samples, seed=seed, **drawing)
        speaking = _given(
            temperature=speech_temperature,
            top_p=speech_top_p,
            max_codec_tokens_per_phone=max_codec_tokens_per_phone,
        )
        spoken = self._spoken([torch.cat([prompt, units]) for units in new.units], seed, speaking)
        if not joined:
            spoken = [speech.without_start(len(prompt)) for speech in spoken]
        rows = zip(spoken, new.units, new.log_probs, new.finished, strict=True)
        return [Continuation(speech, prompt, units, probs, done) for speech, units, probs, done in rows]

    def _language_model(self) -> UnitLanguageModel:
        if self.ulm is None:
            raise ValueError(_missing("language model"))
        return self.ulm

    def _synthesizer(self) -> Synthesizer:
        if self.synthesizer is None:
            raise ValueError(_missing("synthesiser"))
        return self.synthesizer

    def _spoken(self, units: Sequence[UnitSequence], seed: int, options: Mapping[str, Any]) -> list[Speech]:
        """Synthesise sequences of units. Raises a ValueError for options that the synthesiser lacks."""
        self._check_options(options)
        return self._synthesizer().speak(units, seed=seed, **options)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        synthesizer = self._synthesizer()
        for name in sorted(options.keys() - options_of(synthesizer)):
            has = ", ".join(sorted(options_of(synthesizer))) or "no options"
            remedy = f"It has {has}."
            raise ValueError(must(name, f"left out for a {type(synthesizer).__name__}", options[name], remedy))

    def _encoder(self) -> Encoder:
        if self.encoder is None:
            raise ValueError(_missing("encoder"))
        return self.encoder

    def _quantizer(self) -> Quantizer:
        if self.quantizer is None:
            raise ValueError(_missing("quantiser"))
        return self.quantizer

    def _first(self) -> Encoder | Codec:
        """Return the model whose input is the speech."""
        return self._encoder() if self.codec is None or self.encoder is not None else self.codec

    def _prompt(self, wav: Tensor | None, sr: int | None, seconds: float) -> Tensor:
        if (wav is None) != (sr is None):
            raise ValueError("Give both `wav` and `sr`, or neither to begin from nothing.")
        if not 0 <= seconds < float("inf"):
            raise ValueError(must("prompt_seconds", "a number of seconds >= 0", seconds, "0 takes all of the speech."))
        if wav is None or sr is None:
            return torch.zeros(0, dtype=torch.int64)
        return self.units(wav[..., : round(seconds * sr)] if seconds else wav, sr).units.cpu()


def _missing(role: str) -> str:
    return f"This pipeline has no {role}, which is needed here. Load one with it, of a system that has it."


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}
