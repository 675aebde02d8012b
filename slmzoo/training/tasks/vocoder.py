"""Training of a unit HiFi-GAN (Polyak et al., arXiv 2104.00355): units of any operating point to speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations
from torch.nn.utils.rnn import pad_sequence

from slmcore.layers.discriminators import ScaleOutput, discriminator_loss, feature_matching_loss, generator_loss
from slmcore.layers.spectral import LogMel
from slmcore.layers.weight_norm import add_weight_norm
from slmcore.units import Units
from slmzoo.training.data.aligned_codes import aligned_files
from slmzoo.training.data.aligned_speech import AlignedSpeech, speakers_of
from slmzoo.training.data.unit_files import UnitSource
from slmzoo.training.data.vocoder_settings import VocoderSettings
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import identity, initialise_from
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task
from slmzoo.training.options.run import Optimization
from slmzoo.training.tasks.samples import write_sample
from slmzoo.training.tasks.vocoder_losses import duration_loss, inner_runs, vocoder_discriminators
from twist import UnitVocoder

__all__ = ["EpochDecay", "VocoderSettings", "VocoderTask", "train"]

_LONGEST_HELD_OUT = 10.0
_SPLITS = ("train", "validation")


@dataclass(frozen=True, kw_only=True)
class EpochDecay(Optimization):
    """AdamW whose learning rate falls by a factor after each epoch."""

    decay: float
    """Factor of the learning rate after each epoch."""
    epoch: int
    """Steps per epoch."""

    def lr_at(self, step: int) -> float:
        """The learning rate at a step, 0-based: a linear warm-up, then a geometric decay."""
        if step < self.warmup:
            return self.first_lr + (self.lr - self.first_lr) * step / self.warmup
        return self.lr * self.decay ** (step // self.epoch)


def train(settings: VocoderSettings) -> dict[str, Any]:
    """Train a unit vocoder and add it to the registry: the figures of the last validation.

    Raises the errors of `AlignedSpeech` for recordings and units that do not match, and those of `fit`.
    """
    Run.check(settings)
    point, rate = settings.point(), settings.units_per_second()
    corpora = {name: list(UnitSource(getattr(settings, name)).read(point.k or 0)) for name in _SPLITS}
    speakers = speakers_of(corpora["train"]) if settings.speakers else ()
    config = settings.sizes(point.k or 0, rate, speakers)
    training_set, held_out = (
        _aligned(settings, corpora[name], name, config.generator.hop, speakers) for name in _SPLITS
    )
    torch.manual_seed(settings.seed)
    model = UnitVocoder(config, point)
    initialise_from(settings.init, model)
    task = VocoderTask(model, training_set, held_out, settings)
    run = Run.open(settings)
    fit(task, settings, run)
    fold_weight_norm(model)
    made = provenance(settings, "train vocoder", hours=round(training_set.hours, 3), utterances=len(training_set))
    row = {"variant": settings.variant, "sample_rate": config.sample_rate, "frame_rate": rate}
    publish(settings, model.checkpoint(made), **row)
    return {"zoo": settings.zoo, "kind": model.kind, "k": point.k, "lmbda": point.lmbda, **run.reached(task.monitor)}


def _aligned(
    settings: VocoderSettings, utterances: Sequence[Any], split: str, hop: int, speakers: Sequence[str]
) -> AlignedSpeech:
    files = aligned_files(utterances, getattr(settings, f"{split}_speech"), True)
    return AlignedSpeech(utterances, files, settings.sample_rate, hop, speakers, settings.tolerance)


def fold_weight_norm(model: UnitVocoder) -> None:
    """Fold the generator's weight norms into its weights, in place."""
    for module in list(model.generator.modules()):
        if is_parametrized(module):
            remove_parametrizations(module, "weight")


class VocoderTask(Task):
    """Unit vocoder with its losses, discriminators and utterances; the generator is trained under weight norm."""

    freezes: ClassVar[bool] = True

    def __init__(
        self, model: UnitVocoder, training_set: AlignedSpeech, held_out: AlignedSpeech, settings: VocoderSettings
    ) -> None:
        super().__init__()
        self.model, self.settings = model, settings
        add_weight_norm(model.generator)
        if model.durations is not None:
            model.durations.dropout = settings.duration_dropout
        adversarial = settings.discriminator_from < settings.steps
        self.discriminators = vocoder_discriminators(settings.discriminator_width) if adversarial else None
        self.mel = LogMel(settings.sample_rate)
        self._training_set, self._held_out = training_set, held_out

    def identity(self) -> Mapping[str, Any]:
        """The vocoder's."""
        return identity(self.model)

    def parts(self) -> Mapping[str, ParameterGroup]:
        """The discriminators' parameters, then the vocoder's."""
        schedule = self._schedule()
        vocoder = {"vocoder": ParameterGroup(self.model.parameters(), schedule)}
        if self.discriminators is None:
            return vocoder
        return {"discriminators": ParameterGroup(self.discriminators.parameters(), schedule), **vocoder}

    def _schedule(self) -> Optimization:
        if self.settings.schedule == "cosine":
            return self.settings
        usual = {f.name: getattr(self.settings, f.name) for f in fields(Optimization)}
        epoch = max(1, len(self._training_set) // (self.settings.batch * self.settings.accumulate))
        return EpochDecay(**usual, decay=self.settings.decay, epoch=epoch)

    def batch(self, draw: torch.Generator) -> dict[str, Tensor]:
        """`units` (batch, frames), `wav` (batch, segment), `speaker` (batch,), and the runs of units within.

        `runs` and their `durations` (batch, most runs) are padded with zeros; all utterances are drawn equally often.
        """
        chosen = torch.randint(len(self._training_set), (self.settings.batch,), generator=draw).tolist()
        frames = self.settings.segment // self._training_set.hop
        units, wavs = zip(*(self._training_set.segment(index, frames, draw) for index in chosen), strict=True)
        runs, durations = zip(*map(inner_runs, units), strict=True)
        return {
            "units": torch.stack(units),
            "wav": torch.stack(wavs),
            "speaker": torch.tensor([self._training_set.speaker(index) for index in chosen]),
            "runs": pad_sequence(list(runs), batch_first=True),
            "durations": pad_sequence(list(durations), batch_first=True),
        }

    def loss(self, part: str, batch: dict[str, Tensor], context: StepContext) -> tuple[Tensor, Figures] | None:
        """Discriminator loss or vocoder loss of a batch; None for discriminators that have not started."""
        started = context.step >= self.settings.discriminator_from
        discriminators = self.discriminators if started else None
        if part == "discriminators":
            return None if discriminators is None else self._discriminator_loss(batch, discriminators)
        return self._vocoder_loss(batch, discriminators)

    def _discriminator_loss(self, batch: dict[str, Tensor], networks: nn.ModuleDict) -> tuple[Tensor, Figures]:
        with torch.no_grad():
            generated = self._generated(batch)
        outputs = _outputs(networks, batch["wav"]), _outputs(networks, generated)
        return discriminator_loss(*outputs, self.settings.objective), {}

    def _vocoder_loss(self, batch: dict[str, Tensor], networks: nn.ModuleDict | None) -> tuple[Tensor, Figures]:
        rules, wav = self.settings, batch["wav"]
        generated = self._generated(batch)
        figures = {"mel": F.l1_loss(self.mel(generated), self.mel(wav))}
        total = rules.mel * figures["mel"]
        if self.model.durations is not None:
            figures["duration"] = duration_loss(self.model, batch["runs"], batch["durations"])
            total = total + rules.duration * figures["duration"]
        if networks is not None:
            with torch.no_grad():
                real = _outputs(networks, wav)
            outputs = _outputs(networks, generated)
            figures["adversarial"] = generator_loss(outputs, rules.objective)
            figures["matching"] = feature_matching_loss(real, outputs, logits=True)
            total = total + rules.adversarial * figures["adversarial"] + rules.feature_matching * figures["matching"]
        return total, {name: value.detach() for name, value in figures.items()}

    def _generated(self, batch: dict[str, Tensor]) -> Tensor:
        """Waveforms (batch, segment) of a batch's frames, in the recordings' durations."""
        embedded = self.model.frames.units(batch["units"])
        frames = self.model.frames(embedded, None, batch["speaker"], torch.zeros_like(batch["speaker"]))
        return self.model.generator(frames)

    def validation(self) -> Sequence[Any]:
        """Numbers of held-out recordings."""
        return range(min(self.settings.held_out, len(self._held_out)))

    def validate(self, batch: int) -> Figures:
        """Mel loss of a held-out recording, and the errors of predicted durations in frames."""
        units, wav, generated = self._resynthesis(batch)
        shortest, device = self.mel.n_fft, generated.device
        a, b = (F.pad(each.to(device), (0, max(0, shortest - each.shape[-1]))) for each in (generated, wav))
        found = {"mel": F.l1_loss(self.mel(a), self.mel(b)), "recordings": 1.0}
        if self.model.durations is None:
            return found
        predicted = self.model.speak([units.units], speaker=self._speaker(batch))[0].durations
        missed = (predicted - units.durations).abs().sum()
        return {**found, "missed": float(missed), "units": float(len(units))}

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """`mel`, the mean over the recordings, and `frames_off`, the mean error of predicted durations."""
        found = {"mel": sums["mel"] / sums["recordings"]}
        return {**found, "frames_off": sums["missed"] / sums["units"]} if "units" in sums else found

    def show(self, step: int, folder: Path) -> None:
        """Write held-out recordings, their resynthesis, and figures of both with the units."""
        self.model.eval()
        for index in range(min(self.settings.samples, len(self._held_out))):
            units, wav, generated = self._resynthesis(index)
            name = f"{index:02d}-{Path(self._held_out.name(index)).name}"
            write_sample(folder / "samples", step, name, wav, generated.cpu(), self.settings.sample_rate, units)

    def _resynthesis(self, index: int) -> tuple[Units, Tensor, Tensor]:
        """Units of a held-out recording, its wav (1, samples), and that of its units in their own durations."""
        framewise, wav = self._held_out.beginning(index, _LONGEST_HELD_OUT)
        units = Units.from_framewise(framewise, self.model.frame_rate)
        speech = self.model.speak([units], speaker=self._speaker(index))[0]
        return units, wav[None], speech.wav

    def _speaker(self, index: int) -> int | None:
        return self._held_out.speaker(index) if self.settings.speakers else None


def _outputs(networks: nn.ModuleDict, wav: Tensor) -> list[ScaleOutput]:
    return [output for network in networks.values() for output in network(wav)]
