"""Training of a codec with residual codebooks: the step that every such codec shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from slmcore.files.checkpoint import Checkpoint, fold_weight_norm
from slmcore.layers.spectral import SpectralLoss
from slmcore.layers.vq import Quantized
from slmzoo.training.data.segments import SegmentSource, batch_of
from slmzoo.training.loop.init_from import identity
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task, generator
from slmzoo.training.tasks.distillation import Teacher
from slmzoo.training.tasks.rvq.adversary import Adversary
from slmzoo.training.tasks.rvq.codebooks import LevelCodebooks
from slmzoo.training.tasks.rvq.held_out import HeldOut
from slmzoo.training.tasks.rvq.parts import commitment_loss, distillation_loss, known_frames, mixed
from slmzoo.training.tasks.rvq.settings import RVQSettings

__all__ = ["RVQCodec", "RVQTask", "folded"]

_LEVELS_STREAM, _START_STREAM = (1 << 19) + 1, (1 << 19) + 2
"""Streams of a step's random numbers that all of its batches and devices share."""
_SHARED = "made"
"""Key of a batch for the codec's output, the input of the discriminators."""


class RVQCodec(Protocol):
    """Interface of a codec for the task, a module."""

    quantizer: Any
    """Module from latents and a number of levels to `Quantized`."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        ...

    @property
    def hop(self) -> int:
        """Samples in a frame."""
        ...

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        ...

    @property
    def num_codebooks(self) -> int:
        """Levels of the quantiser."""
        ...

    def analyse(self, wav: Tensor, /) -> Tensor:
        """Waveforms (B, samples), whole frames, to latents (B, dimension, frames), with gradients."""
        ...

    def synthesise(self, latents: Tensor, /) -> Tensor:
        """Latents (B, dimension, frames) to waveforms (B, frames * hop), with gradients."""
        ...


class RVQTask(Task):
    """A codec with its codebooks, its losses and, optionally, discriminators and a teacher.

    The codec is updated first; the discriminators are then trained on its output of the same pass.
    """

    freezes = True

    def __init__(
        self,
        settings: RVQSettings,
        codec: nn.Module,
        losses: nn.Module,
        training_set: SegmentSource,
        held_out: SegmentSource,
        teacher: Teacher | None = None,
        project: nn.Module | None = None,
    ) -> None:
        """`codec`: an `RVQCodec`. `losses`: from waveforms (made, real), (B, samples), to losses by name.

        `project`: map of the student's vectors (B, T, width) to the teacher's width; a linear layer of the task's if
        left out.
        """
        super().__init__()
        self.codec: Any = codec
        self.losses, self.settings, self.teacher = losses, settings, teacher
        self._step = 0
        self.codebooks = LevelCodebooks(self.codec.quantizer)
        self.adversary = Adversary.of(settings, self.codec.sample_rate)
        self.project = self._projection() if project is None else None
        self._given_project = None if project is None else (project,)
        self.spectral = SpectralLoss(self.codec.sample_rate)
        self._training_set, self._held_out = training_set, HeldOut(held_out, settings, self.codec)

    def _projection(self) -> nn.Module | None:
        if self.teacher is None:
            return None
        probe = self.codec.analyse(torch.zeros(1, self.codec.hop))
        taught = probe if self.settings.distil == "latents" else self.codec.quantizer(probe, 1).parts[0]
        return nn.Linear(taught.shape[1], self.teacher.dim)

    def identity(self) -> Mapping[str, Any]:
        """Return the codec's identity, and that of a dataset that is streamed."""
        return identity(self.codec) | dict(self._training_set.identity())

    def parts(self) -> Mapping[str, ParameterGroup]:
        """The codec's parameters, with the projection of the distillation, then the discriminators'."""
        own = [*self.codec.parameters(), *(self.project.parameters() if self.project else ())]
        codec = {"codec": ParameterGroup(own, self.settings)}
        if self.adversary is None:
            return codec
        return codec | {"discriminators": ParameterGroup(self.adversary.parameters(), self.settings.of_discriminators)}

    def batch(self, draw: torch.Generator) -> dict[str, Tensor]:
        """Return the first batch of the first step."""
        return self.batch_at(0, 0, draw)

    def batch_at(self, step: int, number: int, draw: torch.Generator) -> dict[str, Tensor]:
        """`wav` (batch, crop), zeros behind the end of a recording, and `lengths` (batch,)."""
        size = self.settings.batch
        first = (step * self.settings.accumulate + number) * size
        found = batch_of(self._training_set, range(first, first + size), self.settings.crop, draw)
        return found | {"wav": found["wav"] * self.settings.gain}

    def loss(self, part: str, batch: dict[str, Tensor], context: StepContext) -> tuple[Tensor, Figures] | None:
        """Loss of the codec, or of the discriminators on its output; None for discriminators not in use at the step."""
        adversary = self.adversary if context.step >= self.settings.discriminator_from else None
        if part == "codec":
            return self._codec_loss(batch, context, adversary)
        if adversary is None or context.step % self.settings.discriminator_every:
            return None
        return adversary(batch.pop(_SHARED), batch["wav"]), {}

    def _codec_loss(
        self, batch: dict[str, Tensor], context: StepContext, adversary: Adversary | None
    ) -> tuple[Tensor, Figures]:
        wav, rules = batch["wav"], self.settings
        latents = self.codec.analyse(wav)
        self._start_codebooks(context.step, wav.device)
        quantized = self._quantized(latents, self.levels_at(context.step))
        known = known_frames(batch["lengths"], self.codec.hop, latents.shape[-1])
        self.codebooks.collect(quantized, known)
        given = mixed(quantized.latents, latents, rules.unquantised_share, rules.latent_noise, context.draw)
        inside = torch.arange(wav.shape[1], device=wav.device) < batch["lengths"][:, None]
        made = self.codec.synthesise(given)[:, : wav.shape[1]].float() * inside
        found = {**self.losses(made, wav), "commitment": commitment_loss(quantized, known)}
        if self.teacher is not None:
            found["distillation"] = self._distillation(wav, latents, quantized, known)
        if adversary is not None:
            found |= adversary.generator_losses(made, wav)
            batch[_SHARED] = made.detach()
        weights = rules.weights()
        total = torch.stack([weights[name] * value for name, value in found.items()]).sum()
        figures = {name: value.detach() for name, value in found.items()}
        return total, figures | self.codebooks.figures()

    def _distillation(self, wav: Tensor, latents: Tensor, quantized: Quantized, known: Tensor) -> Tensor:
        teacher, rules = self.teacher, self.settings
        project = self.project if self._given_project is None else self._given_project[0]
        if teacher is None or project is None:
            raise RuntimeError("Distillation needs a teacher. Give one to the task.")
        taught = latents if rules.distil == "latents" else quantized.parts[0]
        target = teacher(wav, self.codec.sample_rate)
        return distillation_loss(rules.distillation_axis, project(taught.mT.float()), target, known)

    def _quantized(self, latents: Tensor, levels: int | None = None) -> Quantized:
        """Quantise in float32: rounded distances would choose other codes than at inference."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.codec.quantizer(latents.float(), levels)

    def levels_at(self, step: int) -> int:
        """Return the number of levels of a step, the same on all devices."""
        most, rules = self.codec.num_codebooks, self.settings
        draw = generator(rules.seed, step, _LEVELS_STREAM)
        if float(torch.rand((), generator=draw)) >= rules.quantizer_dropout:
            return most
        choices = rules.dropout_levels or tuple(range(1, most + 1))
        return choices[int(torch.randint(len(choices), (), generator=draw))]

    @torch.no_grad()
    def _start_codebooks(self, step: int, device: torch.device) -> None:
        """Start the codebooks from the latents of further segments, unless they have started."""
        if self.codebooks.started:
            return
        draw = generator(self.settings.seed, step, _START_STREAM)
        batches = -(-self.settings.start_crops // self.settings.batch)
        found: list[Tensor] = []
        for number in range(batches):
            batch = self.batch_at(step, number * self.settings.accumulate, draw)
            latents = self.codec.analyse(batch["wav"].to(device)).float()
            known = known_frames(batch["lengths"].to(device), self.codec.hop, latents.shape[-1])
            found.append(latents.mT[known])
        with torch.autocast(device.type, enabled=False):
            self.codebooks.start(self.codec.quantizer, torch.cat(found).mT[None], draw)

    def after_step(self, step: int) -> None:
        """Move the codebooks."""
        rules = self.settings
        self.codebooks.update(rules.seed, step, rules.decay, rules.revive_below)
        self._step = step

    def trouble(self) -> str | None:
        """Return which levels have collapsed, once the codes that the first latents left behind could be revived."""
        rules = self.settings
        collapsed = self.codebooks.collapsed(rules.collapse_below) if self._step >= 2 * rules.revival else {}
        if not collapsed:
            return None
        levels = ", ".join(f"level {level} to a perplexity of {value:.2f}" for level, value in collapsed.items())
        return f"The codebooks have collapsed: {levels}. Lower --lr or raise --commitment or --revive-below."

    def validation(self) -> Sequence[Any]:
        """Numbers of held-out recordings."""
        return range(len(self._held_out))

    def validate(self, batch: int) -> Figures:
        """Losses of a held-out recording from all levels and from the first alone."""
        wav = self._held_out.wav(batch)
        device = next(self.codec.parameters()).device
        found: dict[str, float | Tensor] = {"recordings": 1.0}
        for ending, levels in (("", None), ("_level_1", 1)):
            copy = self._held_out.copy(wav, levels)[1]
            mel, stft = self.spectral(copy.to(device), wav.to(device))
            found |= {f"mel{ending}": mel, f"stft{ending}": stft}
        return found

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """`mel` and `stft` from all levels, `mel_level_1` and `stft_level_1`, means over the recordings."""
        return {name: value / sums["recordings"] for name, value in sums.items() if name != "recordings"}

    def show(self, step: int, folder: Path) -> None:
        """Write held-out recordings, their reconstructions, and figures of both with the codes of level 1."""
        self.codec.eval()
        self._held_out.show(step, folder / "samples")


def folded(checkpoint: Checkpoint) -> Checkpoint:
    """Return a trained codec's checkpoint, with its weight norm folded into the weights."""
    return replace(checkpoint, state=fold_weight_norm(checkpoint.state))
