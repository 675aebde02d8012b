"""WaveGlow: a mel spectrogram to speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from gslm.waveglow.config import WaveGlowConfig
from gslm.waveglow.denoiser import denoised, first_magnitudes
from gslm.waveglow.layers import Coupling, Mixing
from gslm.waveglow.published import published
from slmcore.errors import must
from slmcore.files.checkpoint import Checkpoint, build, read
from slmcore.files.pretrained import Saved, weights_file
from slmcore.layers.precision import widened
from slmcore.layers.sampling import normal
from slmcore.threads import for_products

__all__ = ["WaveGlow", "load"]

_SILENCE = 88
"""Frames of the zero spectrogram from which the hum is measured."""


class WaveGlow(Saved):
    """A flow whose inverse turns noise into speech.

    Half precision applies to the couplings; the signal and the inverse matrices stay float32.
    """

    kind = "waveglow"
    entry_point = "waveglow"

    def __init__(self, config: WaveGlowConfig) -> None:
        super().__init__()
        self.config = c = config
        self.upsample = nn.ConvTranspose1d(c.mels, c.mels, c.window, c.hop)
        widths = [c.width(flow) for flow in range(c.flows)]
        self.couplings = nn.ModuleList(Coupling(c, width // 2) for width in widths)
        self.mixings = nn.ModuleList(Mixing(width) for width in widths)
        self._hum: tuple[torch.device, torch.dtype, Tensor] | None = None

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> WaveGlow:
        """Build the model of a checkpoint of kind "waveglow"; a CheckpointError if it does not fit."""
        config = WaveGlowConfig.from_dict(checkpoint.config)
        return build(lambda: cls(config), checkpoint.state)

    @classmethod
    def from_pretrained(cls, path: str | Path) -> WaveGlow:
        """Load a published or saved model; see `load`."""
        return load(path)

    def noise(self, frames: int, seed: int = 0, sequence: int = 0, sigma: float = 0.666) -> list[Tensor]:
        """Return `sigma` times the normal noise for speech of `frames` frames, in the order of use.

        Tensors (channels, frames * hop / group), drawn from (seed, sequence) and the place in the signal.
        """
        length = frames * self.config.hop // self.config.group
        made: list[Tensor] = []
        first = 0
        for channels in self._entering():
            steps = torch.arange(first, first + channels * length, device=self.device)
            drawn = normal(seed, torch.full_like(steps, sequence), steps)
            made.append(sigma * drawn.reshape(channels, length))
            first += channels * length
        return made

    @torch.no_grad()
    def forward(self, mel: Tensor, noise: Sequence[Tensor]) -> Tensor:
        """Return speech, float32 (frames * hop,), of a spectrogram (mels, frames) and the result of `noise`."""
        if mel.ndim != 2 or len(mel) != self.config.mels or not mel.shape[1]:
            requirement = f"a spectrogram ({self.config.mels}, frames) of one frame or more"
            raise ValueError(must("mel", requirement, f"a tensor of shape {tuple(mel.shape)}"))
        condition = self._condition(mel)
        weights = 2 * self.config.channels**2 * self.config.kernel
        with for_products(self.device, len(condition), weights):
            x = self._flowed(condition, iter([part.to(self.device).T for part in noise]))
        return x.flatten()

    def speak(
        self, mel: Tensor, *, seed: int = 0, sequence: int = 0, sigma: float = 0.666, denoising: float = 0.1
    ) -> Tensor:
        """Return denoised speech, float32 (frames * hop,), of a spectrogram (mels, frames).

        `denoising`: strength of the denoiser, 0 for none.
        """
        audio = self(mel, self.noise(mel.shape[1], seed, sequence, sigma))
        return denoised(audio, self.hum(), denoising) if denoising else audio

    def hum(self) -> Tensor:
        """Return the magnitudes (513,) of the hum, synthesised from silence without noise; computed once."""
        device, dtype = self.device, self.upsample.weight.dtype
        if self._hum is None or self._hum[:2] != (device, dtype):
            silence = torch.zeros(self.config.mels, _SILENCE, device=device, dtype=dtype)
            self._hum = device, dtype, first_magnitudes(self(silence, self.noise(_SILENCE, sigma=0.0)))
        return self._hum[2]

    def _condition(self, mel: Tensor) -> Tensor:
        """Return the spectrogram at the rate of the flows, (frames * hop / group, mels * group)."""
        hop, group = self.config.hop, self.config.group
        samples = self.upsample(mel.to(self.upsample.weight.dtype)[None])[0, :, : mel.shape[1] * hop]
        return samples.unflatten(-1, (-1, group)).transpose(0, 1).flatten(1)

    def _flowed(self, condition: Tensor, noise: Iterator[Tensor]) -> Tensor:
        """Return the channels (T, group) of the speech."""
        x = widened(next(noise))
        parts = list(zip(self.couplings, self.mixings, strict=True))
        for flow, (coupling, mixing) in reversed(list(enumerate(parts))):
            kept, changed = x.chunk(2, 1)
            shift, log_scale = coupling(kept.to(condition.dtype), condition)
            changed = (changed - widened(shift)) * (-widened(log_scale)).exp()
            x = mixing(torch.cat([kept, changed], 1))
            if flow and flow % self.config.early_every == 0:
                x = torch.cat([widened(next(noise)), x], 1)
        return x

    def _entering(self) -> list[int]:
        """Return the numbers of noise channels in the order of use."""
        early = (self.config.flows - 1) // self.config.early_every
        return [self.config.width(self.config.flows - 1)] + [self.config.early_size] * early


def load(path: str | Path) -> WaveGlow:
    """Load a published WaveGlow, `{"hparams", "model_dict"}`, or the project's `.safetensors`, from its file or folder.

    Raises FileNotFoundError, or CheckpointError for a file that is damaged or of another kind.
    """
    return WaveGlow.from_checkpoint(read(weights_file(path), "waveglow", published))
