"""SoundStream (arXiv 2107.03312): speech to residual codes at a choice of bit rates, and codes to speech."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from slmcore import audio
from slmcore.batching import by_length
from slmcore.checks import described, whole
from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.seanet import SEANetDecoder, SEANetEncoder
from slmcore.layers.streaming import Chain, Conv1d, ConvTranspose1d, State
from slmcore.layers.vq import Quantized, check_codes
from slmcore.units import Codes
from soundstream.config import SoundStreamConfig
from soundstream.latents import LatentReport, LatentScale, LatentStatistics
from soundstream.published import published
from soundstream.quantizer import first_level, quantizer_of
from soundstream.streaming import Stream
from soundstream.transformer import Transformer

__all__ = ["Reconstruction", "SoundStream", "load"]

_SEGMENT_SECONDS = 10.0
"""Longer audio is coded and decoded in segments."""


class Reconstruction(NamedTuple):
    """A batch after coding and decoding, in training."""

    wav: Tensor
    """(B, samples), as long as the input."""
    quantized: Quantized
    """The latents' code vectors, commitment loss and codes."""
    latents: Tensor
    """(B, dimension, frames) before quantisation."""


class SoundStream(Saved):
    """SEANet encoder and decoder around residual codebooks, with transformers and a split quantiser where asked for.

    Codes are int64 on the CPU, (B, levels, frames). A causal codec pads the end of a sound with silence to a
    whole frame; a non-causal one mirrors the end. Codebooks and distances stay in float32 under `.half()` and
    `.to(torch.bfloat16)`.
    """

    kind = "soundstream"
    entry_point = "soundstream"

    def __init__(self, config: SoundStreamConfig) -> None:
        super().__init__()
        self.config = config
        dim, factor, causal = config.seanet.dimension, config.downsample, config.seanet.causal
        self.encoder = SEANetEncoder(config.seanet)
        self.encoder_transformer = Transformer(dim, config.transformer) if config.transformer else Chain()
        self.downsample = self.upsample = Chain()
        if factor > 1:
            self.downsample = Conv1d(dim, dim, 2 * factor, factor, bias=False, causal=causal, pad_mode="replicate")
            self.upsample = ConvTranspose1d(dim, dim, 2 * factor, factor, groups=dim, bias=False, causal=causal)
        self.quantizer = quantizer_of(config)
        self.decoder_transformer = Transformer(dim, config.transformer) if config.transformer else Chain()
        self.decoder = SEANetDecoder(config.seanet)
        self.latent_scale = LatentScale(dim)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> SoundStream:
        """Build the model that a checkpoint describes, in float32 and eval mode; CheckpointError if it does not fit."""
        config = SoundStreamConfig.from_dict(checkpoint.config)
        unknown = LatentScale(config.seanet.dimension).state_dict(prefix="latent_scale.")
        return build(lambda: cls(config), {**unknown, **checkpoint.state})

    @classmethod
    def from_pretrained(cls, path: str | Path, **facts: Any) -> SoundStream:
        """Load a published or saved model from its file or folder; see `load`.

        Example: `SoundStream.from_pretrained("soundstream.safetensors").encode_wav(wav, sr)`
        """
        return load(path, **facts)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the convolutions."""
        return next(self.encoder.parameters()).dtype

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self.config.sample_rate

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        return self.config.hop

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.config.frame_rate

    @property
    def num_codes(self) -> int:
        """Codes in each codebook."""
        return self.config.codebook_size

    @property
    def num_codebooks(self) -> int:
        """Levels of the quantiser."""
        return self.config.num_codebooks

    @property
    def bandwidths(self) -> tuple[float, ...]:
        """Bit rates in kb/s: of one level, two levels, and so on."""
        return self.config.bandwidths

    @torch.no_grad()
    def encode(self, wav: Tensor, sr: int, bandwidth: float | None = None) -> Tensor:
        """Encode waveforms (B, samples) at `sr` Hz, which are resampled, to codes (B, levels, frames).

        The levels are as many as fit into `bandwidth` kb/s (None: all); frames = ceil(samples / hop). Raises ValueError
        for another shape, a rate <= 0, no sample, or a bandwidth outside the codec's.
        """
        return self.quantize(self.encode_latents(wav, sr), bandwidth)

    @torch.no_grad()
    def decode(self, codes: Tensor, samples: int | None = None) -> Tensor:
        """Decode codes (B, n, frames) of the first n levels to waveforms (B, frames * hop), float32, cut to `samples`.

        Raises ValueError for another shape, a code outside the codebook, more levels than there are, or more samples
        than the frames have.
        """
        return self.decode_latents(self.dequantize(codes), samples)

    @torch.no_grad()
    def encode_latents(self, wav: Tensor, sr: int) -> Tensor:
        """Encode waveforms (B, samples) at `sr` Hz to latents (B, dimension, frames), not quantised."""
        sr = whole("sr", sr, 1, "a whole number of samples per second > 0")
        wavs = _checked(wav).to(self.device, torch.float32 if wav.itemsize < 4 else wav.dtype)
        filled = self._filled(audio.resample(wavs, sr, self.sample_rate).to(self.dtype))
        if self.config.seanet.streamable:
            state = State()
            chunks = filled.split(self._segment * self.hop, 1)
            return torch.cat([self.analyse(chunk, state) for chunk in chunks], 2)
        frames = self.encoder.in_segments(filled, self._segment * self.config.downsample)
        return self.downsample(self.encoder_transformer(frames))

    @torch.no_grad()
    def decode_latents(self, latents: Tensor, samples: int | None = None) -> Tensor:
        """Decode latents (B, dimension, frames), quantised or not, to waveforms (B, frames * hop), cut to `samples`."""
        self._check_latents(latents)
        longest = latents.shape[2] * self.hop
        if samples is not None and not 0 <= samples <= longest:
            raise ValueError(must("samples", f"from 0 to {longest}, what the frames have", samples))
        latents = latents.to(self.device, self.dtype)
        if self.config.seanet.streamable or not longest:
            state = State()
            wav = torch.cat([self.synthesise(chunk, state) for chunk in latents.split(self._segment, 2)], 1)
        else:
            frames = self.decoder_transformer(self.upsample(latents))
            wav = self.decoder.in_segments(frames, self._segment * self.config.downsample)
        return wav[:, :samples].float()

    def latents(self, wav: Tensor, sr: int) -> Tensor:
        """Encode waveforms (B, samples) at `sr` Hz to latents (B, dimension, frames) for a diffusion model.

        They are normalised and not quantised: over the training set each channel has mean 0 and deviation 1. Raises
        ValueError as `encode_latents` does, and for a codec whose latents were never measured.
        """
        return self.latent_scale.normalise(self.encode_latents(wav, sr))

    def from_latents(self, latents: Tensor, samples: int | None = None) -> Tensor:
        """Decode latents (B, dimension, frames) on the scale of `latents` to waveforms (B, frames * hop).

        `samples` cuts them. Raises ValueError as `decode_latents` and `latents` do.
        """
        self._check_latents(latents)
        return self.decode_latents(self.latent_scale.denormalise(latents.to(self.device)), samples)

    def measure_latents(self, wavs: Iterable[Tensor], sr: int) -> LatentReport:
        """Set the scale of `latents` by waveforms (samples,) at `sr` Hz, and return their statistics."""
        statistics = LatentStatistics(self.config.seanet.dimension)
        for wav in wavs:
            statistics.add(self.encode_latents(wav[None], sr)[0])
        report = statistics.report()
        self.latent_scale.set(report)
        return report

    @torch.no_grad()
    def quantize(self, latents: Tensor, bandwidth: float | None = None) -> Tensor:
        """Quantise latents (B, dimension, frames) to codes (B, levels, frames) of `bandwidth` kb/s (None: all)."""
        self._check_latents(latents)
        levels = self._levels(bandwidth)
        if not latents.shape[-1]:
            return torch.zeros(len(latents), levels, 0, dtype=torch.int64)
        return self.quantizer.encode(latents.to(self.device), last=levels).transpose(0, 1).cpu()

    @torch.no_grad()
    def dequantize(self, codes: Tensor) -> Tensor:
        """Return the quantised latents (B, dimension, frames) of codes (B, n, frames) of the first n levels."""
        check_codes(codes, self.num_codes, "(B, levels, frames)", 3)
        if not 1 <= codes.shape[1] <= self.num_codebooks:
            raise ValueError(must("codes", f"of 1 to {self.num_codebooks} levels", f"a tensor of {codes.shape[1]}"))
        if not codes.shape[2]:
            return torch.zeros(len(codes), self.config.seanet.dimension, 0, device=self.device, dtype=self.dtype)
        return self.quantizer.decode(codes.transpose(0, 1).to(self.device, torch.int64)).to(self.dtype)

    def forward(self, wav: Tensor, levels: int | None = None) -> Reconstruction:
        """Code waveforms (B, samples) by the first `levels` codebooks and decode them, with gradients."""
        latents = self.analyse(self._filled(wav))
        quantized = self.quantizer(latents, levels)
        return Reconstruction(self.synthesise(quantized.latents)[:, : wav.shape[1]], quantized, latents)

    def analyse(self, wav: Tensor, state: State | None = None) -> Tensor:
        """Return latents (B, dimension, frames) of waveforms (B, samples); in a stream (`state`) of whole frames."""
        return self.downsample(self.encoder_transformer(self.encoder(wav, state), state), state)

    def synthesise(self, latents: Tensor, state: State | None = None) -> Tensor:
        """Return waveforms (B, frames * hop) of latents (B, dimension, frames), the next ones of a stream (`state`)."""
        if not latents.shape[-1]:
            return latents.new_zeros(len(latents), 0)
        return self.decoder(self.decoder_transformer(self.upsample(latents, state), state), state)

    def streaming(self, bandwidth: float | None = None) -> Stream:
        """Return a new stream that encodes and decodes chunk by chunk, with the levels of `bandwidth` kb/s (None: all).

        Raises ValueError for a codec that is not causal.
        """
        if not self.config.seanet.streamable:
            found = f"a codec with causal={self.config.seanet.causal}, pad_mode={self.config.seanet.pad_mode!r}"
            remedy = "Train one with causal=True and pad_mode='constant' to stream it."
            raise ValueError(must("codec", "causal and padded by zeros", found, remedy))
        return Stream(self, self._levels(bandwidth))

    def encode_wav(self, wav: Tensor, sr: int) -> Codes:
        """Encode a waveform (1, samples) at `sr` Hz with all levels.

        Raises ValueError for another shape, a rate <= 0, values that are not finite, or less than 20 ms.
        """
        return self.encode_batch([wav], sr)[0]

    def decode_codes(self, codes: Codes) -> Tensor:
        """Decode to a waveform (1, frames * hop), float32 at `sample_rate`; fewer levels are the first ones.

        Raises ValueError for codes of another codec.
        """
        return self.decode_batch([codes])[0]

    def encode_batch(self, wavs: Sequence[Tensor], sr: int) -> list[Codes]:
        """Encode waveforms (1, samples) at `sr` Hz, each as alone: only those of one length share a pass."""
        for wav in wavs:
            audio.check(wav, sr)
        found = by_length([wav[0] for wav in wavs], lambda stacked: self.encode(stacked, sr))
        return [Codes(codes.contiguous(), self.frame_rate, self.num_codes) for codes in found]

    def decode_batch(self, codes: Sequence[Codes]) -> list[Tensor]:
        """Decode to waveforms (1, frames * hop), each as alone: only those of one length share a pass."""
        for sequence in codes:
            sequence.check_made_by(self.num_codebooks, self.num_codes, self.frame_rate)
        latents = [self.dequantize(sequence.codes[None])[0] for sequence in codes]
        return by_length(latents, lambda stacked: self.decode_latents(stacked).unsqueeze(1))

    @property
    def first_codebook(self) -> Tensor:
        """Code vectors (codes, width) of level 1, float32."""
        return first_level(self.quantizer, torch.zeros(1, self.config.seanet.dimension, 1, device=self.device))[1]

    @torch.no_grad()
    def first_level_features(self, wavs: Sequence[Tensor], sr: int) -> list[Tensor]:
        """Return the vectors (frames, width) that level 1 quantises, float32, of waveforms as for `encode_batch`."""
        for wav in wavs:
            audio.check(wav, sr)
        latents = by_length([wav[0] for wav in wavs], lambda stacked: self.encode_latents(stacked, sr))
        return [first_level(self.quantizer, each[None])[0][0].mT.float() for each in latents]

    @property
    def _segment(self) -> int:
        return max(1, int(_SEGMENT_SECONDS * self.frame_rate))

    def _levels(self, bandwidth: float | None) -> int:
        return self.num_codebooks if bandwidth is None else self.config.levels_of(bandwidth)

    def _check_latents(self, latents: Tensor) -> None:
        dim = self.config.seanet.dimension
        if latents.ndim != 3 or latents.shape[1] != dim:
            raise ValueError(must("latents", f"(B, {dim}, frames)", f"a tensor of {tuple(latents.shape)}"))

    def _filled(self, wav: Tensor) -> Tensor:
        """Silence behind the end up to a whole frame, as a stream has it."""
        missing = -wav.shape[-1] % self.hop
        return nn.functional.pad(wav, (0, missing)) if missing and self.config.seanet.causal else wav


def _checked(wav: Tensor) -> Tensor:
    if not isinstance(wav, Tensor) or not wav.is_floating_point() or wav.ndim != 2 or not wav.shape[1]:
        raise ValueError(must("wav", "a float tensor (B, samples), samples >= 1", described(wav)))
    return wav


def load(path: str | Path, **facts: Any) -> SoundStream:
    """Load published weights (SoundStream's, or Mimi's by moshi's names) or the project's `.safetensors`.

    `path` is the file, or a folder with one. `facts`: settings that published weights do not show, see `published`.
    Raises FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
    """
    return SoundStream.from_checkpoint(read(weights_file(path), "soundstream", partial(published, **facts)))
