"""Training of a WavTokenizer: spectral losses, an EMA codebook, and adversarial discriminators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.discriminators import (
    WINDOWS,
    Discriminators,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from slmcore.layers.spectral import SpectralLoss
from slmcore.units import Units
from slmzoo.training.data.recordings import Recordings
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import identity, initialise_from
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task
from slmzoo.training.options.codec import CodecOptions
from slmzoo.training.tasks.ema_codebook import EMACodebook
from slmzoo.training.tasks.log_mel_teacher import LogMelTeacher
from slmzoo.training.tasks.samples import write_sample
from wavtokenizer import WavTokenizer, WavTokenizerConfig

__all__ = ["CodecSettings", "CodecTask", "train"]

_LONGEST_HELD_OUT = 10.0


@dataclass(frozen=True, kw_only=True)
class CodecSettings(CodecOptions, TrainSettings):
    """Checked settings of a codec."""

    fixed: ClassVar[frozenset[str]] = TrainSettings.fixed | {"whitening"}

    def __post_init__(self) -> None:
        super().__post_init__()
        hop = self.sizes.hop
        if self.crop < 1 or self.crop % hop:
            raise ValueError(must("crop", f"a multiple of the hop ({hop})", self.crop))
        if self.discriminator_from is not None and self.crop <= max(WINDOWS) // 2:
            raise ValueError(must("crop", f"above {max(WINDOWS) // 2} samples for the discriminators", self.crop))
        if self.start_crops * (self.crop // hop) < self.codebook_size:
            raise ValueError(must("start_crops", "enough for a latent for each code", self.start_crops))
        for name in ("quantize_from", "discriminator_from", "freeze_from"):
            since = getattr(self, name)
            if self.encoder_only_until is not None and since is not None and since < self.encoder_only_until:
                raise ValueError(must(name, f"at least `encoder_only_until` ({self.encoder_only_until})", since))
        if self.encoder_only_until is not None and not 0 < self.encoder_only_until < self.steps:
            raise ValueError(
                must("encoder_only_until", f"above 0 and below `steps` ({self.steps})", self.encoder_only_until)
            )
        if not 0 <= self.whitening <= 1:
            raise ValueError(must("whitening", "from 0 to 1", self.whitening))
        if self.whitening and self.encoder_only_until is None:
            remedy = "Whitening applies to the encoder's log-mel targets: give --encoder-only-until too."
            raise ValueError(must("whitening", "0 without encoder_only_until", self.whitening, remedy))
        for name in ("held_out", "samples", "discriminator_width"):
            if getattr(self, name) < 1:
                raise ValueError(must(name, "a whole number >= 1", getattr(self, name)))

    def lr_at(self, step: int) -> float:
        """Learning rate at a step, 0-based: one schedule for the encoder alone, then another for the codec."""
        alone = self.encoder_only_until or 0
        return self._lr_at(step, alone) if step < alone else self._lr_at(step - alone, self.steps - alone)

    @property
    def sizes(self) -> WavTokenizerConfig:
        """Config of the codec."""
        return WavTokenizerConfig(**{f.name: getattr(self, f.name) for f in fields(WavTokenizerConfig)})


def train(settings: CodecSettings) -> dict[str, Any]:
    """Train a codec, add it to the zoo, and return its last validation losses.

    Raises the errors of `Recordings` for recordings that cannot be used, and those of `fit`.
    """
    training_set = Recordings(settings.audio, settings.sample_rate, settings.crop)
    held_out = Recordings(settings.validation, settings.sample_rate)
    task = CodecTask(settings, training_set, held_out)
    run = Run.open(settings)
    fit(task, settings, run)
    made = provenance(settings, "train codec", hours=round(training_set.hours, 3), recordings=len(training_set))
    publish(settings, task.codec.checkpoint(made), sample_rate=task.codec.sample_rate, frame_rate=task.codec.frame_rate)
    return {"zoo": settings.zoo, "kind": "wavtokenizer", **run.reached(task.monitor)}


class CodecTask(Task):
    """Codec with its EMA codebook, its losses and, optionally, discriminators."""

    freezes = True

    def __init__(self, settings: CodecSettings, training_set: Recordings, held_out: Recordings) -> None:
        super().__init__()
        torch.manual_seed(settings.seed)
        self.codec = WavTokenizer(settings.sizes)
        self.means = EMACodebook(settings.codebook_size, settings.dimension)
        if settings.init is not None:
            initialise_from(settings.init, self.codec)
            self.means.resume(self.codec.quantizer.embed)
        self.spectral = SpectralLoss(settings.sample_rate)
        self.teacher = None if settings.encoder_only_until is None else _teacher(settings)
        # Checkpoints of earlier runs know the discriminators, and the part that trains them, by this name.
        self.judges = None if settings.discriminator_from is None else Discriminators(settings.discriminator_width)
        self.settings = settings
        self._training_set, self._held_out = training_set, held_out
        self._codes: dict[int, Tensor] = {}

    def identity(self) -> Mapping[str, Any]:
        """Return the codec's identity."""
        return identity(self.codec)

    def parts(self) -> Mapping[str, ParameterGroup]:
        """Return the parameters of the discriminators, then of the codec."""
        codec = {"codec": ParameterGroup(self.codec.parameters(), self.settings)}
        if self.judges is None:
            return codec
        return {"judges": ParameterGroup(self.judges.parameters(), self.settings), **codec}

    def to_compile(self) -> Sequence[nn.Module]:
        """Return the decoder's blocks: most of the computation, and free of complex numbers."""
        return list(self.codec.decoder.blocks)

    def batch(self, draw: torch.Generator) -> dict[str, Tensor]:
        """Sample `wav` (batch, crop), and `places` (batch, 2): recording and first frame.

        A recording is drawn in proportion to its length.
        """
        hop, lengths = self.codec.hop, self._training_set.lengths
        chosen = torch.multinomial(lengths.double(), self.settings.batch, replacement=True, generator=draw)
        spare = (lengths[chosen] - self.settings.crop) // hop + 1
        first = (torch.rand(self.settings.batch, generator=draw, dtype=torch.float64) * spare).long()
        pairs = zip(chosen.tolist(), (first * hop).tolist(), strict=True)
        wav = torch.stack([self._training_set.piece(i, start, self.settings.crop) for i, start in pairs])
        return {"wav": wav, "places": torch.stack([chosen, first], 1)}

    def loss(self, part: str, batch: dict[str, Tensor], context: StepContext) -> tuple[Tensor, Figures] | None:
        """Discriminator loss or codec loss of a batch; None for discriminators that have not started."""
        begun = self.settings.discriminator_from is not None and context.step >= self.settings.discriminator_from
        discriminators = self.judges if begun else None
        if part == "judges":
            return None if discriminators is None else self._discriminator_loss(batch, context.step, discriminators)
        if self.teacher is not None and context.step < (self.settings.encoder_only_until or 0):
            return self._teacher_loss(batch["wav"], context, self.teacher)
        return self._codec_loss(batch, context, discriminators)

    def _teacher_loss(self, wav: Tensor, context: StepContext, teacher: LogMelTeacher) -> tuple[Tensor, Figures]:
        if context.step == 0:
            teacher.start(self._segments(context.draw))
        loss = F.mse_loss(self.codec.encoder(wav), teacher(wav))
        return loss, {"taught": loss.detach()}

    def _codec_loss(
        self, batch: dict[str, Tensor], context: StepContext, discriminators: Discriminators | None
    ) -> tuple[Tensor, Figures]:
        rules, wav = self.settings, batch["wav"]
        quantized, commitment, codes = self._quantized(batch, context)
        generated = self.codec.decoder(quantized)
        mel, stft = self.spectral(generated, wav)
        total = rules.mel * mel + rules.stft * stft + rules.commitment * commitment
        figures = {"mel": mel, "stft": stft, "commitment": commitment}
        if discriminators is not None:
            with torch.no_grad():
                real = discriminators(wav)
            outputs = discriminators(generated)
            figures |= {
                "adversarial": generator_loss(outputs, "hinge", "mean"),
                "matching": feature_matching_loss(real, outputs, "mean", relative=True),
            }
            total = total + rules.adversarial * figures["adversarial"] + rules.feature_matching * figures["matching"]
        return total, {name: value.detach() for name, value in figures.items()} | self.means.use(codes)

    def _discriminator_loss(
        self, batch: dict[str, Tensor], step: int, discriminators: Discriminators
    ) -> tuple[Tensor, Figures]:
        with torch.no_grad():
            generated = self.codec.decoder(self._vectors(batch, step))
        return discriminator_loss(discriminators(batch["wav"]), discriminators(generated), "hinge", "mean"), {}

    def _quantized(self, batch: dict[str, Tensor], context: StepContext) -> tuple[Tensor, Tensor, Tensor]:
        """Return the decoder's input, the commitment loss, and the codes (none before quantisation starts)."""
        rules, wav, embed = self.settings, batch["wav"], self.codec.quantizer.embed
        if context.step >= rules.quantize_from and not self.means.started:
            self.means.start(embed, self._latents(context.draw), context.draw)
        if self._frozen(context.step):
            codes = self._final_codes(batch["places"])
            self.means.count(codes, rules.decay)
            return self.codec.quantizer.decode(codes), wav.new_zeros(()), codes
        latents = self.codec.encoder(wav)
        if not self.means.started:
            return latents, wav.new_zeros(()), wav.new_zeros(0, dtype=torch.int64)
        quantized, commitment, codes = self._coded(latents)
        self.means.update(embed, latents, codes, rules.decay, rules.revive_below, context.draw)
        return quantized, commitment, codes

    def _vectors(self, batch: dict[str, Tensor], step: int) -> Tensor:
        """Return the decoder's input, without an update of the codebook."""
        if self._frozen(step):
            return self.codec.quantizer.decode(self._final_codes(batch["places"]))
        latents = self.codec.encoder(batch["wav"])
        return self._coded(latents)[0] if self.means.started else latents

    def _coded(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise latents in float32: rounded distances would choose other codes than at inference."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.codec.quantizer(latents.float())

    def _frozen(self, step: int) -> bool:
        since = self.settings.freeze_from
        return since is not None and step >= since and bool(self.means.started)

    def _final_codes(self, places: Tensor) -> Tensor:
        """Codes of the segments at `places`, from the encoding of whole recordings: (B, frames)."""
        frames, found = self.settings.crop // self.codec.hop, []
        for index, first in places.tolist():
            if index not in self._codes:
                codes = self.codec.encode(self._training_set.whole(index)[None], self.codec.sample_rate)[0, 0]
                self._codes[index] = codes.to(torch.int32)
            found.append(self._codes[index][first : first + frames].long())
        return torch.stack(found).to(places.device)

    def _segments(self, draw: torch.Generator) -> Tensor:
        """Draw further segments (N, crop), on the codec's device."""
        batches = -(-self.settings.start_crops // self.settings.batch)
        return torch.cat([self.batch(draw)["wav"] for _ in range(batches)]).to(self.codec.quantizer.embed.device)

    @torch.no_grad()
    def _latents(self, draw: torch.Generator) -> Tensor:
        """Latents (N, D) of further segments, to initialise the codebook from."""
        segments = self._segments(draw).split(self.settings.batch)
        return torch.cat([self.codec.encoder(wav).mT.flatten(0, 1) for wav in segments])

    def validation(self) -> Sequence[Any]:
        """Return the indices of held-out recordings."""
        return range(min(self.settings.held_out, len(self._held_out)))

    def validate(self, batch: int) -> Figures:
        """Losses of the reconstruction of a held-out recording."""
        wav = self._held_out_wav(batch)
        made = self._reconstruct(wav)[1]
        device = self.codec.quantizer.embed.device
        mel, stft = self.spectral(made.to(device), wav.to(device))
        return {"mel": mel, "stft": stft, "recordings": 1.0}

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """`mel` and `stft`, means over the recordings."""
        return {name: sums[name] / sums["recordings"] for name in ("mel", "stft")}

    def show(self, step: int, folder: Path) -> None:
        """Write held-out recordings, their reconstructions, and figures of both with the codes."""
        codec, place = self.codec.eval(), folder / "samples"
        for index in range(min(self.settings.samples, len(self._held_out))):
            wav, name = self._held_out_wav(index), f"{index:02d}-{self._held_out.files[index].stem}"
            codes, made = self._reconstruct(wav)
            units = Units.from_framewise(codes, codec.frame_rate)
            write_sample(place, step, name, wav, made, codec.sample_rate, units)

    def _held_out_wav(self, index: int) -> Tensor:
        longest = int(_LONGEST_HELD_OUT * self.codec.sample_rate)
        return self._held_out.whole(index)[None, :longest]

    def _reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        """Return the codes (frames,) of a wav (1, samples) and their reconstruction (1, samples), on the CPU."""
        codes = self.codec.encode(wav, self.codec.sample_rate)
        return codes[0, 0], self.codec.decode(codes)[0][:, : wav.shape[1]].cpu()


def _teacher(settings: CodecSettings) -> LogMelTeacher:
    hop = settings.sizes.hop
    return LogMelTeacher(settings.sample_rate, hop, settings.dimension, settings.whitening)
