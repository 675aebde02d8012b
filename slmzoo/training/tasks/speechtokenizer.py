"""Training of a SpeechTokenizer (arXiv 2308.16692): a residual codec whose first level is distilled from an encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from slmcore.files.checkpoint import read
from slmcore.layers.weight_norm import add_weight_norm
from slmzoo.convert import published
from slmzoo.training.data.segments import SegmentSource, segments_of
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import initialise_from
from slmzoo.training.loop.run import Run
from slmzoo.training.options.speechtokenizer import SpeechTokenizerOptions
from slmzoo.training.tasks.distillation import Teacher, load_teacher
from slmzoo.training.tasks.rvq.settings import RVQSettings
from slmzoo.training.tasks.rvq.task import RVQTask, folded
from slmzoo.training.tasks.speechtokenizer_losses import MEL_WINDOWS, ReconstructionLosses
from speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig

__all__ = ["SpeechTokenizerSettings", "SpeechTokenizerTask", "train"]


@dataclass(frozen=True, kw_only=True)
class SpeechTokenizerSettings(SpeechTokenizerOptions, RVQSettings):
    """The settings of a SpeechTokenizer, checked."""

    fixed: ClassVar[frozenset[str]] = RVQSettings.fixed | {"teacher_variant", "teacher_layer"}

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = self.sizes(None)
        self.check(sizes.seanet.hop, sizes.num_codebooks)

    def weights(self) -> dict[str, float]:
        """Weight of each loss by its name among the figures."""
        of_mels = {f"mel_{window}": weight for window, weight in zip(MEL_WINDOWS, self.mels, strict=True)}
        return super().weights() | {"waveform": self.waveform} | of_mels

    def sizes(self, semantic_dimension: int | None) -> SpeechTokenizerConfig:
        """Return the codec's config for a teacher with features of this size; None for a codec without one."""
        same = ("sample_rate", "strides", "n_filters", "dimension", "residual_layers", "lstm_layers", "bidirectional")
        same += ("activation", "codebook_size", "num_codebooks")
        given: dict[str, Any] = {name: getattr(self, name) for name in same}
        return SpeechTokenizerConfig(semantic_dimension=semantic_dimension or self.dimension, **given)


class SpeechTokenizerTask(RVQTask):
    """A SpeechTokenizer in training, with weight norm on its convolutions.

    Distillation compares the teacher with the code vectors of level 1, projected by the model's own `transform`.
    """

    def __init__(
        self,
        settings: SpeechTokenizerSettings,
        training_set: SegmentSource,
        held_out: SegmentSource,
        teacher: Teacher | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        codec = SpeechTokenizer(settings.sizes(_semantic_dimension(settings.init) if teacher is None else teacher.dim))
        initialise_from(settings.init, codec)
        for part in (codec.encoder, codec.decoder):
            add_weight_norm(part)
        losses = ReconstructionLosses(settings.sample_rate)
        super().__init__(settings, codec, losses, training_set, held_out, teacher, codec.transform)
        if settings.init is not None:
            self.codebooks.resume()


def _semantic_dimension(init: str | None) -> int | None:
    """Return the feature size that an initial model was distilled to, which training without a teacher keeps."""
    return None if init is None else read(init, "speechtokenizer", published).config["semantic_dimension"]


def train(settings: SpeechTokenizerSettings) -> dict[str, Any]:
    """Train a SpeechTokenizer, add it to the zoo, and return its last validation losses.

    Raises the errors of `segments_of` and `load_teacher` for unusable data and teachers, and those of `fit`.
    """
    training_set = segments_of(settings.audio, settings.sample_rate, settings.column)
    held_out = segments_of(settings.validation, settings.sample_rate, settings.column)
    sizes = settings.sizes(None)
    teacher = load_teacher(settings, sizes.sample_rate / sizes.seanet.hop, settings.registry_file)
    task = SpeechTokenizerTask(settings, training_set, held_out, teacher)
    run = Run.open(settings)
    fit(task, settings, run)
    made = provenance(settings, "train speechtokenizer", **training_set.facts())
    codec: SpeechTokenizer = task.codec
    rates = {"sample_rate": codec.sample_rate, "frame_rate": codec.frame_rate}
    publish(settings, folded(codec.checkpoint(made)), system="speechtokenizer", **rates)
    return {"zoo": settings.zoo, "kind": "speechtokenizer", **run.reached(task.monitor)}
