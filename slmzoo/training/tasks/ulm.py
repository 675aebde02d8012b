"""Training of the unit language model: chunks across the utterances of a chapter, whole utterances held out."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mistral_ulm import UnitLM
from slmcore.batching import batches
from slmcore.errors import must
from slmcore.language.scoring import sequence_logprobs
from slmzoo.training.data.unit_files import Spoken, UnitSource
from slmzoo.training.data.unit_ids import UnitIds
from slmzoo.training.data.unit_settings import UnitSettings
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import identity, initialise_from
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task
from slmzoo.training.options.units import UlmOptions
from slmzoo.training.tasks.warm_start import from_text_model
from twist import TwistLM

__all__ = ["Chapters", "UlmSettings", "UlmTask", "chunk_loss", "train"]

_HELD_OUT_AT_ONCE = 16384


@dataclass(frozen=True, kw_only=True)
class UlmSettings(UlmOptions, UnitSettings):
    """Checked settings of a unit language model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chunk < 2:
            raise ValueError(must("chunk", "a whole number >= 2", self.chunk))
        if self.init is not None and not (self.init.startswith("hf:") or Path(self.init).is_file()):
            raise ValueError(must("init", "a model file, or hf: and the name of a text model", self.init))


def train(settings: UlmSettings) -> dict[str, Any]:
    """Train a unit language model, add it to the registry, and return its best figures."""
    Run.check(settings)
    point, rate = settings.point(), settings.units_per_second()
    k = point.k or 0
    held_out = list(UnitSource(settings.validation).read(k))
    torch.manual_seed(settings.seed)
    model = _model(settings, k)
    model.operating_point = point
    chapters = Chapters(UnitSource(settings.train).read(k), UnitIds.of(model), settings.chunk)
    run, task = Run.open(settings), UlmTask(model, chapters, held_out, settings, rate)
    fit(task, settings, run)
    reached = run.reached(task.monitor)
    made = provenance(settings, "train ulm", ids=len(chapters), utterances=chapters.utterances, **reached)
    checkpoint = model.checkpoint(made)
    publish(settings, checkpoint, frame_rate=rate)
    return {"zoo": settings.zoo, "kind": checkpoint.kind, "k": k, "lmbda": point.lmbda, **reached}


def _model(settings: UlmSettings, k: int) -> UnitLM | TwistLM:
    if settings.init is not None and settings.init.startswith("hf:"):
        name = settings.init.removeprefix("hf:")
        model = from_text_model(name, k, settings.embeddings, settings.dropout)
        if isinstance(model, TwistLM) and settings.chunk > model.config.longest:
            raise ValueError(must("chunk", f"at most {model.config.longest}, the model's longest", settings.chunk))
        return model
    model = UnitLM(settings.transformer(UnitIds(k).vocab_size, output_bias=False))
    initialise_from(settings.init, model)
    return model


class Chapters:
    """Ids of all chapters in one stream, from which chunks of equal length are sampled without padding.

    The BOS of each utterance ends the one before. A chunk stays in its chapter; chapters shorter than a chunk are
    joined. An id takes two bytes, four during construction: 60,000 hours are about 6 GB.
    """

    def __init__(self, utterances: Iterable[Spoken], known: UnitIds, length: int) -> None:
        """`utterances` are iterated once; `length`: ids that a chunk predicts, of the `length` + 1 that it holds.

        Raises a ValueError if there are fewer units in all.
        """
        self.utterances = 0
        kind = "H" if known.vocab_size < 1 << 16 else "i"
        chapters: dict[str, array[int]] = {}
        for spoken in utterances:
            ids = known.encode(spoken.units).numpy().astype(kind)
            chapters.setdefault(spoken.chapter, array(kind)).frombytes(ids.tobytes())
            self.utterances += 1
        groups = _joined([np.frombuffer(ids, kind) for ids in chapters.values()], length, known.bos)
        sizes = np.array([sum(map(len, group)) for group in groups])
        if not len(sizes) or sizes[-1] <= length:
            raise ValueError(
                must("chunk", f"below the number of all ids ({sizes.sum()})", length, "Use shorter chunks.")
            )
        self.length = length
        self._ids = np.concatenate([piece for group in groups for piece in group])
        self._first = np.cumsum(sizes) - sizes
        self._places = np.cumsum(sizes - length)
        self._places_before = self._places - (sizes - length)

    def __len__(self) -> int:
        """Total number of ids."""
        return len(self._ids)

    def draw(self, count: int, draw: torch.Generator) -> Tensor:
        """Sample chunks (count, length + 1), int64, every position of every chapter equally likely."""
        places = torch.randint(int(self._places[-1]), (count,), generator=draw).numpy()
        chapter = np.searchsorted(self._places, places, side="right")
        first = self._first[chapter] + places - self._places_before[chapter]
        return torch.from_numpy(self._ids[first[:, None] + np.arange(self.length + 1)].astype(np.int64))


def _joined(chapters: list[np.ndarray], length: int, bos: int) -> list[list[np.ndarray]]:
    """Yield groups of chapters, each of more than `length` ids and closed by a BOS; a single shorter one if all are."""
    groups: list[list[np.ndarray]] = []
    for chapter in chapters:
        if groups and sum(map(len, groups[-1])) < length:
            groups[-1].append(chapter)
        else:
            groups.append([chapter])
    if len(groups) > 1 and sum(map(len, groups[-1])) < length:
        rest = groups.pop()
        groups[-1] += rest
    return [[*group, np.full(1, bos, group[0].dtype)] for group in groups]


class UlmTask(Task):
    """Unit language model with its chapters and held-out utterances, on which bits are measured."""

    monitor = "loss"

    def __init__(
        self,
        model: UnitLM | TwistLM,
        chapters: Chapters,
        held_out: Sequence[Spoken],
        settings: UlmSettings,
        frame_rate: float,
    ) -> None:
        super().__init__()
        self.model, self.settings = model, settings
        self._chapters, self._frame_rate = chapters, frame_rate
        self._held_out = self._batched(held_out)
        # Units stored without repeats have no durations.
        self._framewise = any(len(spoken.framewise) != len(spoken.units) for spoken in held_out)

    def _batched(self, held_out: Sequence[Spoken]) -> list[list[tuple[Tensor, int]]]:
        ids = UnitIds.of(self.model)
        items = [(ids.encode(spoken.units), len(spoken.framewise)) for spoken in held_out]
        groups = batches([len(ids) for ids, _ in items], _HELD_OUT_AT_ONCE)
        return [[items[i] for i in group] for group in groups]

    def identity(self) -> Mapping[str, Any]:
        """Return the model's identity, and the rate of its units."""
        return identity(self.model, frame_rate=self._frame_rate)

    def parts(self) -> Mapping[str, ParameterGroup]:
        """Return the model's parameters."""
        return {"model": ParameterGroup(self.model.parameters(), self.settings)}

    def to_compile(self) -> Sequence[nn.Module]:
        """Return the transformer."""
        return [self.model.transformer]

    def batch(self, draw: torch.Generator) -> Tensor:
        """Sample chunks (batch, length + 1)."""
        return self._chapters.draw(self.settings.batch, draw)

    def loss(self, part: str, batch: Tensor, context: StepContext) -> tuple[Tensor, Figures]:
        """Return the mean cross-entropy in nats."""
        return chunk_loss(self.model, batch), {}

    def validation(self) -> Sequence[Any]:
        """Return whole utterances of similar lengths, with their frames."""
        return self._held_out

    def validate(self, batch: list[tuple[Tensor, int]]) -> Figures:
        """Return sums of nats, units and frames."""
        found = sequence_logprobs(self.model.transformer, [ids for ids, _ in batch])
        nats = -sum(float(x.sum(dtype=torch.float64)) for x in found)
        return {"nats": nats, "units": sum(len(x) for x in found), "frames": sum(frames for _, frames in batch)}

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """Return `loss` (nats per unit), `bits_per_unit` and, for framewise units, `bits_per_second`."""
        bits = sums["nats"] / math.log(2)
        found = {"loss": sums["nats"] / sums["units"], "bits_per_unit": bits / sums["units"]}
        return {**found, "bits_per_second": bits / sums["frames"] * self._frame_rate} if self._framewise else found


def chunk_loss(model: UnitLM | TwistLM, chunks: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats, without each chunk's first target, which has hardly any context."""
    logits = model.transformer(chunks[:, :-1])[:, 1:]
    return cross_entropy(logits.flatten(0, 1).float(), chunks[:, 2:].flatten())
