"""Training of codebooks on an encoder's features of a folder of speech, into a user's zoo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from dpdp import fit_lmbda
from slmcore import audio
from slmcore.checks import described
from slmcore.clustering import kmeans
from slmcore.errors import must
from slmcore.files import registry
from slmcore.units import OperatingPoint
from slmzoo import hub
from slmzoo.training.data.feature_samples import Features, drawn_frames, encoder_features
from slmzoo.training.loop.copy_model import check_copyable, copy_model
from slmzoo.training.loop.fit import provenance, publish
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import RunSettings
from slmzoo.training.options.codebook import CodebookOptions
from slmzoo.training.tasks.speaker_directions import SpeakerProjected, check_directions, spoken_by_all
from wavlm_codebooks import Codebook, WavLM

__all__ = ["CodebookSettings", "train"]


@dataclass(frozen=True, kw_only=True)
class CodebookSettings(CodebookOptions, RunSettings):
    """Checked settings of codebooks."""

    fixed: ClassVar[frozenset[str]] = RunSettings.fixed | {"encoder_zoo", "layer", "frame_fraction"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.k or min(self.k) < 1 or len(set(self.k)) < len(self.k):
            raise ValueError(must("k", "different whole numbers >= 1", self.k))
        if not 0 < self.frame_fraction <= 1:
            raise ValueError(must("frame_fraction", "above 0 and at most 1", self.frame_fraction))
        for name in ("iterations", "trials", "batch", "rated_files"):
            if getattr(self, name) < 1:
                raise ValueError(must(name, "a whole number >= 1", getattr(self, name)))
        if self.lmbda and (self.rate is not None or len(self.lmbda) != len(self.k)):
            raise ValueError(must("lmbda", f"a number for each of the {len(self.k)} k, without rate", self.lmbda))
        if self.rate is not None and not (math.isfinite(self.rate) and self.rate > 0):
            raise ValueError(must("rate", "a finite number > 0", self.rate))
        if self.num_neighbors is not None and not 1 <= self.num_neighbors <= min(self.k):
            raise ValueError(must("num_neighbors", "from 1 to the smallest k", self.num_neighbors))
        if self.num_neighbors is not None and not self.lmbda and self.rate is None:
            remedy = "It only affects units: give lambda too."
            raise ValueError(must("num_neighbors", "left out without lmbda or rate", self.num_neighbors, remedy))
        if self.codes is not None and (self.speaker_directions or self.aligned_sentences):
            raise ValueError(must("codes", "left out with speaker_directions, which change k-means", self.codes))
        if self.aligned_sentences < 0:
            raise ValueError(must("aligned_sentences", "a number of sentences >= 0", self.aligned_sentences))
        if self.aligned_sentences and not self.speaker_directions:
            raise ValueError(
                must(
                    "aligned_sentences",
                    "0 without speaker_directions, which are found from them",
                    self.aligned_sentences,
                )
            )


def train(settings: CodebookSettings) -> list[OperatingPoint]:
    """Train the codebooks, add their rows, and return the operating point of each.

    Raises ValueError for unusable files, or fewer frames than codes; an interrupted run continues with `resume`.
    """
    files = audio.find(settings.audio)
    if not files:
        raise FileNotFoundError(f"{' '.join(settings.audio)} holds no audio file.")
    file = settings.registry_file if settings.registry_file.exists() else None
    row = registry.find("wavlm", zoo=settings.encoder_zoo, registry=file)
    check_copyable(settings, row)
    where = {"zoo": settings.encoder_zoo, "registry": file, "map_location": settings.torch_device}
    encoder: Any = hub.encoder(**where)
    if not 0 <= settings.layer <= encoder.num_layers:
        allowed = f"from 1 to the encoder's {encoder.num_layers} blocks, or 0 for its output"
        raise ValueError(must("layer", allowed, settings.layer))
    features = encoder_features(encoder, settings.layer or None)
    if settings.codes is None:
        found, made = _clustered(settings, features, files, encoder.dim)
    else:
        found = [_given(settings.codes, settings.k, encoder.dim)]
        Run.open(settings).keep(settings)
        made = provenance(settings, "train codebook", files=len(files))
    copy_model(settings, row)
    point = OperatingPoint(zoo=settings.zoo, encoder=row.encoder, layer=settings.layer or None)
    rated = _rated(settings, features, files) if settings.rate is not None else []
    # Lambda is fitted to the codes as they will be loaded.
    books = [codes.half().float() if settings.save_half else codes for codes in found]
    points = [_with_lambda(settings, replace(point, k=len(codes)), codes, rated, encoder) for codes in books]
    rates = {"sample_rate": encoder.sample_rate, "frame_rate": encoder.frame_rate}
    for codes, with_lambda in zip(books, points, strict=True):
        # A codebook is independent of lambda: its row names none.
        publish(settings, Codebook(codes, with_lambda).checkpoint(made), lmbda=None, num_neighbors=None, **rates)
    return points


def _given(file: Path, k: Sequence[int], dim: int) -> Tensor:
    """Read the codes (k, dim) of a file. Raises ValueError for an array of another kind or size."""
    codes = torch.from_numpy(np.load(file, allow_pickle=False))
    if codes.shape[1:] != (dim,) or not codes.is_floating_point() or not codes.isfinite().all():
        raise ValueError(
            must("codes", f"finite numbers, (k, {dim}) as the encoder's features", f"{file}, {described(codes)}")
        )
    if tuple(k) != (len(codes),):
        raise ValueError(must("k", f"{len(codes)}, the number of codes in {file}", " ".join(map(str, k))))
    return codes.float()


def _clustered(
    settings: CodebookSettings, features: Features, files: Sequence[Path], dim: int
) -> tuple[list[Tensor], dict[str, Any]]:
    """Return the centres of k-means for each k, on the CPU, and their provenance."""
    spoken = _sentences(settings, files)
    voices = [file.parent.name for file in files]
    check_directions(settings.speaker_directions, dim, None if spoken else len(set(voices)))
    run = Run.open(settings)
    how = {"share": settings.frame_fraction, "batch": settings.batch, "seed": settings.seed}
    blocks, counts = drawn_frames(features, files, run, **how)
    _check_k(settings, counts)
    run.keep(settings)
    frames: Sequence[np.ndarray] | SpeakerProjected = blocks
    if spoken:
        sentences = ([x.cpu() for x in features(group)] for group in spoken)
        frames = SpeakerProjected.of_sentences(blocks, sentences, settings.speaker_directions)
    elif settings.speaker_directions:
        frames = SpeakerProjected.of_means(blocks, voices, counts, settings.speaker_directions)
    stopping = {"iterations": settings.iterations, "tolerance": settings.tolerance, "trials": settings.trials}
    place = {"device": settings.torch_device, "state": run.path / "kmeans.pt"}
    found = kmeans.fit_many(frames, settings.k, **stopping, **place, seed=settings.seed)
    made = provenance(settings, "train codebook", files=len(files), frames=sum(counts))
    return [codes.cpu() for codes in found.values()], made


def _check_k(settings: CodebookSettings, counts: Sequence[int]) -> None:
    """Raise a ValueError for more codes than frames drawn, `counts` of each file."""
    drawn, k = sum(counts), max(settings.k)
    if k > drawn:
        drawn_by = f"that --frame-fraction {settings.frame_fraction:g} draws from {len(counts)} files"
        allowed = f"from 1 to the number of vectors, here {drawn}, the frames {drawn_by}"
        raise ValueError(
            must("k", allowed, k, "Give fewer codes, or more speech or --frame-fraction with --overwrite.")
        )


def _sentences(settings: CodebookSettings, files: Sequence[Path]) -> list[list[Path]]:
    """Return, for sentences evenly spread over all, the file of each voice."""
    if not settings.aligned_sentences:
        return []
    spoken = spoken_by_all(files)
    if settings.aligned_sentences > len(spoken) or len(spoken[0]) < 2:
        several = len({file.parent for file in files}) > 1
        there = f"at most {len(spoken)}, the sentences that all voices speak" if several else "0 for a single voice"
        raise ValueError(
            must(
                "aligned_sentences",
                there,
                settings.aligned_sentences,
                "Files of a sentence must have the same name in each folder.",
            )
        )
    return spoken[:: len(spoken) // settings.aligned_sentences][: settings.aligned_sentences]


def _with_lambda(
    settings: CodebookSettings, point: OperatingPoint, codes: Tensor, rated: Sequence[Tensor], encoder: WavLM
) -> OperatingPoint:
    """Return the point with lambda as given, or fitted to the wanted rate, if any."""
    if not settings.lmbda and settings.rate is None:
        return point
    neighbors = settings.num_neighbors or max(1, int(0.05 * len(codes)))
    if settings.lmbda:
        lmbda = settings.lmbda[settings.k.index(len(codes))]
    else:
        limits = {"num_neighbors": neighbors, "frame_rate": encoder.frame_rate}
        lmbda = float(f"{fit_lmbda(rated, codes, settings.rate, **limits):.3g}")
    return replace(point, lmbda=lmbda, num_neighbors=neighbors)


def _rated(settings: CodebookSettings, features: Features, files: Sequence[Path]) -> list[Tensor]:
    some = files[:: max(1, len(files) // settings.rated_files)]
    batches = [some[i : i + settings.batch] for i in range(0, len(some), settings.batch)]
    return [x.cpu() for batch in batches for x in features(batch)]
