"""Training of a SoundStream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.layers.seanet import SEANetConfig
from slmcore.layers.spectral import LogMel
from slmcore.layers.stft_loss import STFTLoss, SubBandSTFTLoss
from slmcore.layers.weight_norm import add_weight_norm
from slmzoo.training.data.segments import SegmentSource, segments_of
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import initialise_from
from slmzoo.training.loop.run import Run, rank
from slmzoo.training.loop.task import generator
from slmzoo.training.options.soundstream import SoundStreamLossOptions, SoundStreamOptions
from slmzoo.training.tasks.distillation import Teacher, load_teacher
from slmzoo.training.tasks.rvq.settings import RVQSettings
from slmzoo.training.tasks.rvq.task import RVQTask, folded
from soundstream import LatentReport, LatentStatistics, SoundStream, SoundStreamConfig, TransformerConfig

__all__ = ["SoundStreamLosses", "SoundStreamSettings", "SoundStreamTask", "measured", "train"]

_STATISTICS_STREAM = (1 << 19) + 3


@dataclass(frozen=True, kw_only=True)
class SoundStreamSettings(SoundStreamOptions, RVQSettings):
    """The settings of a SoundStream, checked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.sizes
        self.check(sizes.hop, sizes.num_codebooks)
        shortest = SoundStreamLosses(self, self.sample_rate).shortest
        if self.crop < shortest:
            raise ValueError(must("crop", f"at least {shortest} samples for the spectral losses", self.crop))
        if self.statistics_crops < 1:
            raise ValueError(must("statistics_crops", "a whole number >= 1", self.statistics_crops))

    def weights(self) -> dict[str, float]:
        """Weight of each loss by its name among the figures."""
        own = ("full_band", "sub_band", "log_mel", "waveform")
        return super().weights() | {name: getattr(self, name) for name in own}

    @property
    def sizes(self) -> SoundStreamConfig:
        """The codec's config."""
        seanet = SEANetConfig(
            strides=self.strides,
            n_filters=self.n_filters,
            dimension=self.dimension,
            lstm_layers=self.lstm_layers,
            causal=self.causal,
            pad_mode="constant" if self.causal else "reflect",
        )
        names = ("sample_rate", "codebook_size", "num_codebooks", "quantizer_dimension", "semantic", "downsample")
        same: dict[str, Any] = {name: getattr(self, name) for name in names}
        return SoundStreamConfig(seanet=seanet, transformer=self._transformer, **same)

    @property
    def _transformer(self) -> TransformerConfig | None:
        if self.transformer_layers == 0:
            return None
        return TransformerConfig(
            layers=self.transformer_layers,
            heads=self.transformer_heads,
            hidden=self.transformer_hidden,
            context=self.transformer_context,
        )


class SoundStreamLosses(nn.Module):
    """Spectral distances of the published recipe, and log-mel and waveform distances with a weight above 0."""

    def __init__(self, options: SoundStreamLossOptions, sample_rate: int) -> None:
        super().__init__()
        self.full_band, self.sub_band = STFTLoss(), SubBandSTFTLoss()
        self.log_mel = LogMel(sample_rate, 1024, 160, win=800) if options.log_mel else None
        self.waveform = options.waveform

    @property
    def shortest(self) -> int:
        """Fewest samples of a waveform."""
        return max(self.full_band.shortest, self.sub_band.shortest)

    def forward(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Waveforms (B, samples) to losses by name."""
        bands = {"full_band": self.full_band, "sub_band": self.sub_band}
        found = {name: torch.stack(loss(made, real)).sum() for name, loss in bands.items()}
        if self.log_mel is not None:
            found["log_mel"] = F.l1_loss(self.log_mel(made), self.log_mel(real))
        if self.waveform:
            found["waveform"] = F.l1_loss(made, real)
        return found


class SoundStreamTask(RVQTask):
    """A SoundStream in training, with weight norm on its convolutions."""

    def __init__(
        self,
        settings: SoundStreamSettings,
        training_set: SegmentSource,
        held_out: SegmentSource,
        teacher: Teacher | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        codec = SoundStream(settings.sizes)
        initialise_from(settings.init, codec)
        for part in (codec.encoder, codec.decoder):
            add_weight_norm(part)
        losses = SoundStreamLosses(settings, settings.sample_rate)
        super().__init__(settings, codec, losses, training_set, held_out, teacher)
        if settings.init is not None:
            self.codebooks.resume()


def train(settings: SoundStreamSettings) -> dict[str, Any]:
    """Train a SoundStream, add it to the zoo, and return its last validation losses.

    Raises the errors of `segments_of` and `load_teacher` for unusable data and teachers, and those of `fit`.
    """
    training_set = segments_of(settings.audio, settings.sample_rate, settings.column)
    held_out = segments_of(settings.validation, settings.sample_rate, settings.column)
    teacher = load_teacher(settings, settings.sizes.frame_rate, settings.registry_file)
    task = SoundStreamTask(settings, training_set, held_out, teacher)
    run = Run.open(settings)
    fit(task, settings, run)
    if not rank():
        task.codec.latent_scale.set(measured(task, settings.statistics_crops))
    made = provenance(settings, "train soundstream", **training_set.facts())
    codec: SoundStream = task.codec
    rates = {"sample_rate": codec.sample_rate, "frame_rate": codec.frame_rate}
    publish(settings, folded(codec.checkpoint(made)), system="soundstream", **rates)
    return {"zoo": settings.zoo, "kind": "soundstream", **run.reached(task.monitor)}


@torch.no_grad()
def measured(task: SoundStreamTask, crops: int) -> LatentReport:
    """Return the statistics of a codec's latents over `crops` segments of its training set."""
    codec, rules = task.codec, task.settings
    statistics = LatentStatistics(codec.config.seanet.dimension)
    for step in range(-(-crops // rules.batch)):
        batch = task.batch_at(step, 0, generator(rules.seed, step, _STATISTICS_STREAM))
        for latents, length in zip(codec.analyse(batch["wav"]), batch["lengths"].tolist(), strict=True):
            statistics.add(latents[:, : -(-length // codec.hop)])
    return statistics.report()
