"""WavTokenizer (arXiv 2408.16532): speech to one stream of discrete codes, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from slmcore import audio
from slmcore.batching import by_length
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.seanet import SEANetEncoder
from slmcore.layers.vq import EuclideanCodebook
from slmcore.threads import for_linears, for_products
from slmcore.units import Codes
from wavtokenizer.checks import check_codes
from wavtokenizer.config import WavTokenizerConfig
from wavtokenizer.decoder import Decoder
from wavtokenizer.published import published, renamed

__all__ = ["Reconstruction", "WavTokenizer", "load", "published"]


class Reconstruction(NamedTuple):
    """Reconstruction of a batch in training."""

    wav: Tensor
    """(B, samples), as long as the input."""
    commitment: Tensor
    """Scalar: mean squared distance of the latents to their codes."""
    codes: Tensor
    """(B, frames), int64."""


class WavTokenizer(Saved):
    """Codec of encoder, codebook and decoder, made by `load` or `from_checkpoint`, or from a config for training.

    Under `.to(torch.bfloat16)` and `.half()`, codebook, distances, norms and the inverse STFT stay in float32; only
    convolutions, LSTM, attention and perceptrons are rounded. The decoder's attention is global: memory grows with the
    square of the length.
    """

    kind = "wavtokenizer"
    entry_point = "small_600_24k_4096"

    def __init__(self, config: WavTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SEANetEncoder(config.encoder)
        self.quantizer = EuclideanCodebook(config.codebook_size, config.dimension)
        self.decoder = Decoder(
            config.dimension,
            config.decoder_dim,
            config.decoder_intermediate,
            config.decoder_layers,
            config.n_fft,
            config.hop,
        )

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> WavTokenizer:
        """Build the model of a checkpoint, in float32 and evaluation mode; a CheckpointError if it does not fit."""
        config = WavTokenizerConfig.from_dict(checkpoint.config)
        return build(lambda: cls(config), renamed(checkpoint.state))

    @classmethod
    def from_pretrained(cls, path: str | Path) -> WavTokenizer:
        """Load a published or saved codec: a file, a folder with one, or `hf://owner/repo`.

        Example: `WavTokenizer.from_pretrained("WavTokenizer_small_600_24k_4096.ckpt").encode_wav(wav, sr)`. Raises
        FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
        """
        return load(weights_file(path))

    @property
    def sample_rate(self) -> int:
        """Sample rate, Hz."""
        return self.config.sample_rate

    @property
    def hop(self) -> int:
        """Samples per code."""
        return self.config.hop

    @property
    def frame_rate(self) -> float:
        """Codes per second."""
        return self.sample_rate / self.hop

    @property
    def num_codes(self) -> int:
        """Size of the codebook."""
        return self.config.codebook_size

    @property
    def num_codebooks(self) -> int:
        """Codes per frame: one."""
        return 1

    def forward(self, wav: Tensor) -> Reconstruction:
        """Encode and decode waveforms (B, samples) at the model's rate, with straight-through gradients."""
        quantized, commitment, codes = self.quantizer(self.encoder(wav))
        return Reconstruction(self.decoder(quantized)[:, : wav.shape[-1]], commitment, codes)

    @torch.no_grad()
    def encode(self, wav: Tensor, sr: int) -> Tensor:
        """Encode a waveform (1, samples) at `sr` Hz as codes (1, 1, ceil(samples / hop)), int64 on the CPU.

        The waveform is resampled to `sample_rate` first. Raises ValueError for another shape, a rate <= 0, values that
        are not finite, or less than 20 ms.
        """
        audio.check(wav, sr)
        return self._codes_of(wav, sr).unsqueeze(0)

    @torch.no_grad()
    def encode_batch(self, wavs: Sequence[Tensor], sr: int) -> list[Tensor]:
        """Encode waveforms (samples,) at `sr` Hz as codes (frames,), each as if alone.

        Only waveforms of equal length share a pass: the encoder reflects both ends, so that padding would change the
        codes.
        """
        for wav in wavs:
            audio.check(wav.unsqueeze(0) if wav.ndim == 1 else wav, sr)
        return by_length([wav.flatten() for wav in wavs], lambda stacked: self._codes_of(stacked, sr))

    @torch.no_grad()
    def decode(self, codes: Tensor) -> tuple[Tensor, int]:
        """Decode codes (1, 1, frames) on any device to a float32 waveform (1, frames * hop), and its sample rate.

        No codes give a waveform of length zero. Raises ValueError for another shape, a dtype that is not an integer, or
        a code outside the codebook.
        """
        check_codes(codes, 3, self.num_codes)
        return self.decode_batch([codes.flatten()])[0].unsqueeze(0), self.sample_rate

    @torch.no_grad()
    def decode_batch(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """Decode codes (frames,) each to waveforms (frames * hop,), equal to `decode`'s, in one padded pass."""
        for sequence in codes:
            check_codes(sequence, 1, self.num_codes)
        device = self.quantizer.embed.device
        lengths = torch.tensor([len(sequence) for sequence in codes], dtype=torch.int64, device=device)
        spoken = [sequence.to(device, torch.int64) for sequence in codes if len(sequence)]
        empty = torch.zeros(0, device=device, dtype=torch.float32)
        if not spoken:
            return [empty for _ in codes]
        padded = nn.utils.rnn.pad_sequence(spoken, batch_first=True)
        inside = torch.arange(padded.shape[1], device=device) < lengths[lengths > 0].unsqueeze(1)
        mask = None if bool(inside.all()) else inside.unsqueeze(1)
        with for_linears(self.decoder, padded.numel()):
            wavs = iter(self.decoder(self.quantizer.decode(padded).to(self._dtype), mask))
        return [next(wavs)[: len(sequence) * self.hop] if len(sequence) else empty for sequence in codes]

    def encode_wav(self, wav: Tensor, sr: int) -> Codes:
        """Encode a waveform (1, samples) at `sr` Hz; raises as `encode`."""
        return Codes(self.encode(wav, sr)[0], self.frame_rate, self.num_codes)

    def decode_codes(self, codes: Codes) -> Tensor:
        """Decode to a waveform (1, frames * hop), float32 at `sample_rate`.

        Raises ValueError for codes of another codec.
        """
        codes.check_made_by(1, self.num_codes, self.frame_rate)
        return self.decode(codes.codes[None])[0]

    @property
    def _dtype(self) -> torch.dtype:
        return self.decoder.embed.weight.dtype

    def _codes_of(self, wavs: Tensor, sr: int) -> Tensor:
        """Encode waveforms (B, samples) to codes (B, frames) on the CPU."""
        wavs = audio.resample(wavs.to(self.quantizer.embed), sr, self.sample_rate)
        # Deeper convolutions have more channels at a lower rate, and so about the cost of the first ones.
        with for_products(wavs.device, wavs.numel(), 4 * self.config.n_filters**2):
            return self.quantizer.encode(self.encoder(wavs.to(self._dtype))).cpu()


def load(path: str | Path) -> WavTokenizer:
    """Load a published `.ckpt` or the project's `.safetensors`.

    Raises FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
    """
    return WavTokenizer.from_checkpoint(read(path, "wavtokenizer", published))
