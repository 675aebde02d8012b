"""Training of ELLA-V on framewise units and codec tokens of the same utterances."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from ellav import EllaV, EllaVTokenizer
from slmcore.batching import batches
from slmcore.errors import must
from slmzoo.systems import dp_slm
from slmzoo.training.data.aligned_codes import Utterance, aligned_files, encoded, utterances
from slmzoo.training.data.unit_files import UnitSource
from slmzoo.training.data.unit_settings import UnitSettings
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import identity, initialise_from
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task
from slmzoo.training.options.units import EllavOptions
from wavtokenizer import WavTokenizer

__all__ = ["EllavSettings", "EllavTask", "longest_seconds", "masked_loss", "train"]

_HELD_OUT_AT_ONCE = 16384
_DRAWN_FROM = 32
"""Size, in batches, of the group of utterances of similar length that a batch is sampled from."""
_SPLITS = ("train", "validation")


@dataclass(frozen=True, kw_only=True)
class EllavSettings(EllavOptions, UnitSettings):
    """Checked settings of an acoustic model."""

    fixed: ClassVar[frozenset[str]] = UnitSettings.fixed | {"codec"}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("num_codes", 1), ("code_rate", 1e-3), ("tolerance", 0)):
            if not getattr(self, name) >= least:
                raise ValueError(must(name, f"a number >= {least}", getattr(self, name)))
        if not 0 <= self.scheduled_sampling <= 1:
            raise ValueError(must("scheduled_sampling", "from 0 to 1", self.scheduled_sampling))


def train(settings: EllavSettings) -> dict[str, Any]:
    """Train an acoustic model, add it to the registry, and return its best figures."""
    Run.check(settings)
    point, rate, codec = settings.point(), settings.units_per_second(), _codec(settings)
    k = point.k or 0
    size, code_rate = (settings.num_codes, settings.code_rate) if codec is None else (codec.num_codes, codec.frame_rate)
    tokenizer = EllaVTokenizer.for_units(k, size, rate, code_rate)
    corpora = {name: list(UnitSource(getattr(settings, name)).read(k)) for name in _SPLITS}
    if settings.validate_every is None:
        half = len(corpora["train"]) // (2 * settings.batch * settings.accumulate)
        settings = replace(settings, validate_every=max(1, half))
    files = {n: aligned_files(corpora[n], getattr(settings, f"{n}_speech"), codec is not None) for n in _SPLITS}
    if codec is not None:
        run = Run.open(settings)
        files = {name: encoded(files[name], codec, run.path / "codes" / name) for name in _SPLITS}
        settings = replace(settings, resume=True, overwrite=False)
    training_set, held_out = (utterances(corpora[name], files[name], tokenizer, settings.tolerance) for name in _SPLITS)
    torch.manual_seed(settings.seed)
    longest = longest_seconds(training_set, rate)
    model = EllaV(settings.transformer(tokenizer.vocab_size, output_bias=True), tokenizer, point, longest)
    initialise_from(settings.init, model)
    run, task = Run.open(settings), EllavTask(model, training_set, held_out, settings)
    fit(task, settings, run)
    reached = run.reached(task.monitor)
    made = provenance(settings, "train ellav", utterances=len(training_set), **reached)
    publish(settings, model.checkpoint(made), variant="units", frame_rate=rate)
    return {"zoo": settings.zoo, "kind": "ellav", "k": k, "lmbda": point.lmbda, **reached}


def longest_seconds(utterances: Sequence[Utterance], rate: float) -> float:
    """Return the 99th percentile of the durations of utterances, of `rate` frames per second, and at least a second.

    A model does not learn utterances of a length from a few outliers.
    """
    frames = sorted(len(utterance.units) for utterance in utterances)
    return max(1.0, frames[math.ceil(0.99 * len(frames)) - 1] / rate)


def _codec(settings: EllavSettings) -> WavTokenizer | None:
    if settings.codec is None:
        return None
    registry = settings.registry_file if settings.registry_file.exists() else None
    if Path(settings.codec).is_file():
        return dp_slm.codec(checkpoint=settings.codec, map_location=settings.torch_device)
    return dp_slm.codec(zoo=settings.codec, registry=registry, map_location=settings.torch_device)


class EllavTask(Task):
    """Acoustic model with its training and held-out utterances."""

    monitor = "loss"

    def __init__(
        self, model: EllaV, training_set: Sequence[Utterance], held_out: Sequence[Utterance], settings: EllavSettings
    ) -> None:
        super().__init__()
        self.model, self.settings = model, settings
        self._training_set, self._held_out = training_set, held_out
        self._alike = (
            torch.tensor([_length(u) for u in training_set]).argsort(stable=True).split(_DRAWN_FROM * settings.batch)
        )
        self._groups = list(batches([_length(u) for u in held_out], _HELD_OUT_AT_ONCE))

    def identity(self) -> Mapping[str, Any]:
        """Return the model's identity."""
        return identity(self.model)

    def parts(self) -> Mapping[str, ParameterGroup]:
        """Return the model's parameters."""
        return {"model": ParameterGroup(self.model.parameters(), self.settings)}

    def to_compile(self) -> Sequence[nn.Module]:
        """Return the transformer's layers; the head's input, the scored targets, varies in size."""
        return list(self.model.transformer.layers)

    def batch(self, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sample ids and the mask of the scored targets, both (batch, longest).

        Utterances of a batch have similar lengths, so that little is padding; all are equally likely.
        """
        drawn = int(torch.randint(len(self._training_set), (), generator=draw))
        alike = self._alike[drawn // len(self._alike[0])]
        chosen = torch.randint(len(alike), (self.settings.batch,), generator=draw)
        return self._collated([self._training_set[index] for index in alike[chosen].tolist()])

    def loss(self, part: str, batch: tuple[Tensor, Tensor], context: StepContext) -> tuple[Tensor, Figures]:
        """Return the mean cross-entropy of the scored targets in nats."""
        ids, mask = batch
        inputs = (
            with_scheduled_sampling(self.model, ids, self.settings.scheduled_sampling, context.draw)
            if self.settings.scheduled_sampling
            else ids
        )
        return masked_loss(self.model, ids, mask, inputs), {}

    def validation(self) -> Sequence[tuple[Tensor, Tensor]]:
        """Return whole utterances of similar lengths."""
        return [self._collated([self._held_out[i] for i in group]) for group in self._groups]

    def validate(self, batch: tuple[Tensor, Tensor]) -> Figures:
        """Return sums of nats and of targets."""
        targets = batch[1][:, 1:].sum()
        return {"nats": masked_loss(self.model, *batch) * targets, "targets": targets}

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """Return `loss`, in nats per target."""
        return {"loss": sums["nats"] / sums["targets"]}

    def _collated(self, chosen: Sequence[Utterance]) -> tuple[Tensor, Tensor]:
        tokenizer = self.model.tokenizer
        ids = [tokenizer.encode_train([f"u{unit}" for unit in u.units.tolist()], u.codes) for u in chosen]
        masks = [tokenizer.loss_mask(sequence) for sequence in ids]
        return pad_sequence(ids, batch_first=True), pad_sequence(masks, batch_first=True)


def _length(utterance: Utterance) -> int:
    """Return the approximate length of a sequence: each unit in front, then again with its codec tokens and an EOP."""
    return 3 * len(torch.unique_consecutive(utterance.units)) + len(utterance.codes)


@torch.no_grad()
def with_scheduled_sampling(model: EllaV, ids: Tensor, share: float, draw: torch.Generator) -> Tensor:
    """Replace a random share of the codec tokens in `ids` (batch, n) by the model's predictions after the true ids.

    Tokens for which the model predicts the end of the unit are kept.
    """
    first = model.tokenizer.first_codec
    chosen = torch.rand(ids.shape, generator=draw).to(ids.device) < share
    chosen &= ids >= first
    chosen[:, 0] = False
    likeliest = model.transformer.output(model.transformer.hidden(ids[:, :-1])[chosen[:, 1:]]).argmax(-1)
    inputs = ids.clone()
    inputs[chosen] = torch.where(likeliest >= first, likeliest, ids[chosen])
    return inputs


def masked_loss(model: EllaV, ids: Tensor, mask: Tensor, inputs: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy in nats of the codec tokens, EOP and EOS, which are not given at inference.

    ids, mask and the model's `inputs`, which may differ from the ids: (batch, n).
    """
    hidden = model.transformer.hidden((ids if inputs is None else inputs)[:, :-1])
    counts = mask[:, 1:]
    return cross_entropy(model.transformer.output(hidden[counts]).float(), ids[:, 1:][counts])
