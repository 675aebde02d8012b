"""Training of USLM's autoregressive and non-autoregressive decoder on phones and the codes of a codec."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from slmcore.batching import batches
from slmcore.errors import must
from slmcore.files.rows import Row
from slmcore.files.zoofile import check_zoo
from slmzoo import hub, systems
from slmzoo.training.data.transcribed import (
    Transcribed,
    TranscribedCodes,
    coded,
    fitting,
    phones_of_all,
    read_manifest,
)
from slmzoo.training.loop.copy_model import check_copyable, copy_model
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import identity, load_weights
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task
from slmzoo.training.options.uslm import UslmOptions
from speechtokenizer import uslm
from speechtokenizer.uslm import USLM, PhoneTokenizer, USLMConfig
from speechtokenizer.uslm.espeak import phones_of

__all__ = ["UslmSettings", "UslmTask", "ar_nats", "nar_nats", "train"]

logger = logging.getLogger(__name__)
_HELD_OUT_AT_ONCE = 8192
_DRAWN_FROM = 32
"""Size of the pool of utterances of similar length that a batch is drawn from, in batches."""

Batch = tuple[list[Tensor], list[Tensor]]
"""Ids (n_i,) of texts, and codes (levels, T_i)."""


@dataclass(frozen=True, kw_only=True)
class UslmSettings(UslmOptions, TrainSettings):
    """The settings of a USLM, checked."""

    fixed: ClassVar[frozenset[str]] = TrainSettings.fixed | {"codec", "codec_variant", "phones", "language", "part"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.shortest <= self.longest:
            raise ValueError(must("shortest", f"from 0 to `longest` ({self.longest:g})", self.shortest))
        self.sizes(2, 1)

    def sizes(self, levels: int, codes: int) -> USLMConfig:
        """Return the config for a codec with this number of levels and codes."""
        return USLMConfig(
            dim=self.dim,
            heads=self.heads,
            layers=self.layers,
            nar_dim=self.dim,
            nar_heads=self.heads,
            nar_layers=self.layers,
            num_codebooks=levels,
            codebook_size=codes,
            text_size=self.text_size,
            dropout=self.dropout,
        )


def train(settings: UslmSettings) -> dict[str, Any]:
    """Train a USLM, add it and its codec to the registry, and return its last validation losses.

    Raises the errors of `read_manifest`, `fitting` and `coded` for utterances that cannot be used, those of `fit`, and
    ValueError for a codec of one codebook.
    """
    Run.check(settings)
    corpora = {name: _utterances(settings, name) for name in ("train", "validation")}
    spoken = {name: _phones(settings, utterances) for name, utterances in corpora.items()}
    codec, row, system = _codec(settings)
    model, tokenizer = _begun(settings, settings.sizes(codec.num_codebooks, codec.num_codes), spoken["train"])
    run = Run.open(settings)
    training_set, held_out = (
        _ready(corpora[name], spoken[name], tokenizer, coded(corpora[name], codec, run.path / "codes"))
        for name in corpora
    )
    settings = replace(settings, resume=True, overwrite=False)
    task = UslmTask(model, training_set, held_out, settings)
    fit(task, settings, Run.open(settings))
    copy_model(settings, row, codec.checkpoint(), system)
    reached = run.reached(task.monitor)
    codec_of = {"zoo": row.zoo, "kind": row.kind, "variant": row.variant, "sha256": row.sha256}
    made = provenance(settings, "train uslm", utterances=len(training_set), codec=codec_of, **reached)
    rates = {"sample_rate": codec.sample_rate, "frame_rate": codec.frame_rate}
    publish(settings, model.checkpoint(made), system, variant=row.variant, **rates)
    return {"zoo": settings.zoo, "kind": "uslm", **reached}


def _utterances(settings: UslmSettings, split: str) -> list[Transcribed]:
    return fitting(read_manifest(getattr(settings, split)), settings.shortest, settings.longest)


def _phones(settings: UslmSettings, utterances: Sequence[Transcribed]) -> list[list[str]]:
    of_text: Callable[[str], list[str]] = str.split if settings.phones else partial(_espeak, settings.language)
    return phones_of_all(utterances, of_text)


def _espeak(language: str, text: str) -> list[str]:
    return phones_of(text, language)


def _codec(settings: UslmSettings) -> tuple[Any, Row, str]:
    """The codec, its row, and the system of both, which must be the registry's own."""
    file = settings.registry_file
    where = hub.Source(zoo=settings.codec, registry=file if file.exists() else None, map_location=settings.torch_device)
    load: Callable[..., Any] = hub.codec  # from a source, which keeps its row
    codec, system = load(variant=settings.codec_variant, where=where), systems.of(where)
    if codec.num_codebooks < 2:
        raise ValueError(must("codec", "of two or more codebooks", f"{settings.codec}, of {codec.num_codebooks}"))
    if system.text_to_speech is None:
        raise ValueError(must("codec", "of a system with text to speech", f"{settings.codec}, of {system.name}"))
    check_zoo(file, settings.zoo, system.name)
    (row,) = where.found.values()
    check_copyable(settings, row)
    return codec, row, system.name


def _begun(settings: UslmSettings, config: USLMConfig, phones: Sequence[list[str]]) -> tuple[USLM, PhoneTokenizer]:
    """A new model for the phones of a training set, or that of `init` with its own table of phones."""
    torch.manual_seed(settings.seed)
    if settings.init is None:
        tokenizer = PhoneTokenizer({each for some in phones for each in some}, settings.language)
        return USLM(config, tokenizer), tokenizer
    found = uslm.load(settings.init)
    if found.tokenizer is None:
        raise ValueError(must("init", f"a model with its phones, {uslm.SYMBOLS} beside it", settings.init))
    model = USLM(config, found.tokenizer)
    load_weights(found.checkpoint(), model)
    return model, found.tokenizer


def _ready(
    utterances: Sequence[Transcribed], phones: Sequence[list[str]], tokenizer: PhoneTokenizer, files: Sequence[Path]
) -> list[TranscribedCodes]:
    """Utterances as ids and codes. Raises ValueError that names a file with a phone that the training set lacks."""
    made: list[TranscribedCodes] = []
    for utterance, spoken, file in zip(utterances, phones, files, strict=True):
        try:
            ids = tokenizer.encode(spoken)
        except ValueError as error:
            raise ValueError(f"{utterance.file}: {error}") from error
        made.append(TranscribedCodes(ids, file, np.load(file, mmap_mode="r").shape[1]))
    return made


class UslmTask(Task):
    """USLM with its training and held-out utterances."""

    monitor = "loss"
    freezes = True

    def __init__(
        self,
        model: USLM,
        learnt: Sequence[TranscribedCodes],
        held_out: Sequence[TranscribedCodes],
        settings: UslmSettings,
    ) -> None:
        super().__init__()
        self.model, self.settings = model, settings
        self._learnt, self._held_out = learnt, held_out
        lengths = torch.tensor([_length(each) for each in learnt])
        self._alike = lengths.argsort(stable=True).split(_DRAWN_FROM * settings.batch)
        self._groups = list(batches([_length(each) for each in held_out], _HELD_OUT_AT_ONCE))

    def identity(self) -> Mapping[str, Any]:
        """The model's."""
        return identity(self.model)

    def parts(self) -> Mapping[str, ParameterGroup]:
        """The decoders that are trained."""
        decoders: dict[str, nn.Module] = {"ar": self.model.ar, "nar": self.model.nar}
        chosen = {name: each for name, each in decoders.items() if self.settings.part in ("both", name)}
        return {name: ParameterGroup(each.parameters(), self.settings) for name, each in chosen.items()}

    def to_compile(self) -> Sequence[nn.Module]:
        """The layers of both decoders."""
        return [*self.model.ar.stack.layers, *self.model.nar.stack.layers]

    def batch(self, draw: torch.Generator) -> Batch:
        """Texts and codes of utterances of similar length, for little padding; all are drawn equally often."""
        drawn = int(torch.randint(len(self._learnt), (), generator=draw))
        alike = self._alike[drawn // len(self._alike[0])]
        chosen = torch.randint(len(alike), (self.settings.batch,), generator=draw)
        return self._read([self._learnt[index] for index in alike[chosen].tolist()])

    def loss(self, part: str, batch: Batch, context: StepContext) -> tuple[Tensor, Figures]:
        """Nats per code: of the first level, or the mean of level 2 and of a level above it drawn at random."""
        if part == "ar":
            nats, codes = ar_nats(self.model, *batch)
            return nats / codes, {}
        found = [nar_nats(self.model, *batch, level) for level in self._levels(context.draw)]
        return torch.stack([nats / codes for nats, codes in found]).mean(), {}

    def _levels(self, draw: torch.Generator) -> list[int]:
        levels = self.model.config.num_codebooks
        more = [int(torch.randint(2, levels, (), generator=draw))] if levels > 2 else []
        return [1, *more]

    def validation(self) -> Sequence[Batch]:
        """Whole utterances of similar length."""
        return [self._read([self._held_out[i] for i in group]) for group in self._groups]

    def validate(self, batch: Batch) -> Figures:
        """Nats and codes of each decoder that is trained, the non-autoregressive one's of all its levels."""
        sums: dict[str, float | Tensor] = {}
        if self.settings.part != "nar":
            sums |= dict(zip(("ar", "ar_codes"), ar_nats(self.model, *batch), strict=True))
        if self.settings.part != "ar":
            levels = range(1, self.model.config.num_codebooks)
            found = [nar_nats(self.model, *batch, level) for level in levels]
            sums |= {"nar": torch.stack([nats for nats, _ in found]).sum(), "nar_codes": sum(n for _, n in found)}
        return sums

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """`ar` and `nar`, in nats per code, and `loss`, their sum."""
        found = {name: sums[name] / sums[f"{name}_codes"] for name in ("ar", "nar") if name in sums}
        return {**found, "loss": sum(found.values())}

    def _read(self, utterances: Sequence[TranscribedCodes]) -> Batch:
        config = self.model.config
        sizes = (config.num_codebooks, config.codebook_size)
        return [each.ids for each in utterances], [each.codes(*sizes) for each in utterances]


def _length(utterance: TranscribedCodes) -> int:
    return len(utterance.ids) + utterance.frames


def ar_nats(model: USLM, texts: Sequence[Tensor], codes: Sequence[Tensor]) -> tuple[Tensor, int]:
    """Return the cross-entropy of the first level's codes and ends, summed, and their number.

    The first code of an utterance is not counted unless there is a start code; padding never is, unlike upstream.
    """
    logits = torch.cat(model(texts, codes, 0)).float()
    begin = 0 if model.config.prepend_bos else 1
    ends = [torch.cat([each[0, begin:], each.new_tensor([model.config.end])]) for each in codes]
    targets = torch.cat(ends)
    return cross_entropy(logits, targets, reduction="sum"), len(targets)


def nar_nats(model: USLM, texts: Sequence[Tensor], codes: Sequence[Tensor], level: int) -> tuple[Tensor, int]:
    """Return the cross-entropy of the codes of a `level` >= 1, summed, and their number."""
    logits = torch.cat(model(texts, codes, level)).float()
    targets = torch.cat([each[level] for each in codes])
    return cross_entropy(logits, targets, reduction="sum"), len(targets)
