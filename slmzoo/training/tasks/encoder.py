"""Training of a WavLM by masked prediction of clusters (HuBERT, arXiv 2106.07447; WavLM, arXiv 2110.13900)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmcore.errors import must
from slmcore.units import OperatingPoint
from slmzoo.training.data.acoustics import in_a_room, through_a_channel, with_background
from slmzoo.training.data.augment import masked_spans, speed_perturbed, with_gain_and_noise
from slmzoo.training.data.feature_samples import Features, cepstral_features, encoder_features, num_sampled, write_npy
from slmzoo.training.data.pseudo_labels import make_targets, read_targets
from slmzoo.training.data.recordings import Recordings
from slmzoo.training.loop.fit import fit, provenance, publish
from slmzoo.training.loop.init_from import identity, initialise_from
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task, generator
from slmzoo.training.options.encoder import EncoderOptions
from slmzoo.training.tasks.head_codes import head_codes
from wavlm_codebooks import WavLM, WavLMConfig, wavlm

__all__ = ["EncoderSettings", "EncoderTask", "start_as_filterbank", "train"]

_HELD_OUT_STREAM = 9


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(EncoderOptions, TrainSettings):
    """Checked settings of an encoder."""

    fixed: ClassVar[frozenset[str]] = TrainSettings.fixed | {
        "clusters",
        "held_out",
        "frame_fraction",
        "teacher",
        "teacher_layer",
    }
    of_the_result: ClassVar[frozenset[str]] = TrainSettings.of_the_result | {"name"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sizes.hop != 320:
            raise ValueError(must("conv_layers", "of strides whose product is 320", self.conv_layers))
        if self.filterbank and self.sizes.conv_layers[0][0] % 2:
            raise ValueError(
                must("conv_layers", "of an even number of channels first, for --filterbank", self.conv_layers)
            )
        if self.targets is not None and self.teacher is not None:
            raise ValueError("--targets and --teacher contradict each other. Give one of them.")
        if self.teacher_layer is not None and self.teacher is None:
            raise ValueError(must("teacher_layer", "left out without teacher, whose block it is", self.teacher_layer))
        for name, least in (("clusters", 2), ("crop", 1), ("mask_length", 1), ("held_out", 0)):
            if getattr(self, name) < least:
                raise ValueError(must(name, f"a whole number >= {least}", getattr(self, name)))
        for name, low, high in (
            ("frame_fraction", 0, 1),
            ("mask_start", 0, 1),
            ("quietest_gain", 0, self.loudest_gain),
        ):
            if not low < getattr(self, name) <= high:
                raise ValueError(must(name, f"above {low} and at most {high}", getattr(self, name)))
        for name in ("babble", "rooms", "channels"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(must(name, "a share from 0 to 1", getattr(self, name)))
        if not (math.isfinite(self.warp) and self.warp >= 1):
            raise ValueError(must("warp", "a factor >= 1", self.warp))

    @property
    def sizes(self) -> WavLMConfig:
        """Config of the encoder."""
        names = ("dim", "ffn_dim", "heads", "layers", "conv_pos", "conv_pos_groups", "num_buckets", "max_distance")
        layers = tuple(_three(text) for text in self.conv_layers)
        return WavLMConfig(conv_layers=layers, **{name: getattr(self, name) for name in names})


def _three(text: str) -> tuple[int, int, int]:
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() and int(part) for part in parts):
        raise ValueError(must("conv_layers", "channels,kernel,stride for each layer", text))
    channels, kernel, stride = map(int, parts)
    return channels, kernel, stride


def train(settings: EncoderSettings) -> dict[str, Any]:
    """Train an encoder, add it to the zoo, and return its last validation figures.

    The run folder gets `codes.npy`, a codebook of the head: its units are the predicted clusters.

    Raises the errors of `Recordings` and `read_targets` for unusable data, and those of `fit`.
    """
    recordings = Recordings(settings.audio, WavLM.sample_rate, settings.sizes.hop)
    if settings.held_out >= len(recordings):
        raise ValueError(must("held_out", f"below the number of recordings ({len(recordings)})", settings.held_out))
    lengths = [length // settings.sizes.hop for length in recordings.lengths.tolist()]
    _check_clusters(settings, lengths)
    features = _features(settings)
    run = Run.open(settings)
    rules = {"clusters": settings.clusters, "share": settings.frame_fraction, "seed": settings.seed}
    folder = settings.targets or make_targets(features, recordings.files, run, **rules)
    task = EncoderTask(settings, recordings, read_targets(recordings.files, folder, lengths, settings.clusters))
    fit(task, settings, run)
    made = provenance(settings, "train encoder", hours=round(recordings.hours, 3), recordings=len(recordings))
    rates = {"sample_rate": task.encoder.sample_rate, "frame_rate": task.encoder.frame_rate}
    publish(settings, task.encoder.checkpoint(made), **rates)
    write_npy(run.path / "codes.npy", head_codes(task.head, task.encoder.output_norm))
    return {"zoo": settings.zoo, "kind": "wavlm", "encoder": settings.name, **run.reached(task.monitor)}


def _check_clusters(settings: EncoderSettings, lengths: Sequence[int]) -> None:
    """Raise a ValueError for more clusters than frames drawn from recordings of `lengths` frames."""
    drawn = sum(num_sampled(length, settings.frame_fraction) for length in lengths)
    if settings.targets is None and settings.clusters > drawn:
        drawn_by = f"--frame-fraction {settings.frame_fraction:g} draws from {len(lengths)} recordings"
        allowed = f"at most {drawn}, the frames that {drawn_by}"
        remedy = "Give fewer clusters, a larger --frame-fraction or more speech."
        raise ValueError(must("clusters", allowed, settings.clusters, remedy))


def _features(settings: EncoderSettings) -> Features:
    """Return the features clustered for pseudo-labels, if no targets are given."""
    if settings.teacher is not None:
        return encoder_features(wavlm.load(settings.teacher).to(settings.torch_device), settings.teacher_layer)
    return cepstral_features


class EncoderTask(Task):
    """Encoder with a linear head that predicts the cluster of each frame."""

    def __init__(self, settings: EncoderSettings, recordings: Recordings, targets: Sequence[Tensor]) -> None:
        """`targets`: for each recording, the cluster of each frame (frames,)."""
        super().__init__()
        torch.manual_seed(settings.seed)
        self.encoder = WavLM(settings.sizes, OperatingPoint(zoo=settings.zoo, encoder=settings.name))
        initialise_from(settings.init, self.encoder)
        if settings.filterbank and settings.init is None:
            start_as_filterbank(self.encoder)
        self.head = nn.Linear(self.encoder.dim, settings.clusters)
        self.settings = settings
        self._recordings, self._targets = recordings, targets
        apart = len(recordings) // settings.held_out if settings.held_out else 0
        self._held_out = [i * apart for i in range(settings.held_out)]
        self._weights = torch.tensor([float(len(target)) for target in targets])
        self._weights[self._held_out] = 0

    def identity(self) -> Mapping[str, Any]:
        """Return the encoder's identity, regardless of its name."""
        return {name: value for name, value in identity(self.encoder).items() if name != "encoder"}

    def parts(self) -> Mapping[str, ParameterGroup]:
        """Return all parameters as one part."""
        return {"encoder": ParameterGroup(self.parameters(), self.settings)}

    def batch(self, draw: torch.Generator) -> dict[str, Tensor]:
        """Sample segments of recordings in proportion to their length, augmented by speed, gain and noise."""
        rules = self.settings
        chosen = torch.multinomial(self._weights, rules.batch, replacement=True, generator=draw).tolist()
        return self._masked([self._piece(i, draw) for i in chosen], draw)

    def _piece(self, index: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        rules = self.settings
        place, faster = torch.rand(2, generator=draw).tolist()
        piece, target = self._cut(index, place)
        piece, target = speed_perturbed(piece, target, rules.warp ** (2 * faster - 1))
        piece = self._disturbed(piece, draw)
        return with_gain_and_noise(piece, rules.noise, rules.quietest_gain, rules.loudest_gain, draw), target

    def _disturbed(self, segment: Tensor, draw: torch.Generator) -> Tensor:
        """Segment behind another talker, in a room, through a channel, each as often as the settings say."""
        shares = torch.tensor([self.settings.babble, self.settings.rooms, self.settings.channels])
        if not shares.any():
            return segment
        talker, room, channel = (torch.rand(3, generator=draw) < shares).tolist()
        if talker:
            other = torch.multinomial(self._weights, 1, generator=draw).item()
            segment = with_background(segment, self._cut(int(other), 0.5)[0], draw)
        if room:
            segment = in_a_room(segment, draw)
        return through_a_channel(segment, draw) if channel else segment

    def _cut(self, index: int, place: float) -> tuple[Tensor, Tensor]:
        """Return a segment of a recording and its targets; `place` from 0, its start, to 1."""
        hop, spare = self.encoder.hop, len(self._targets[index]) - self.settings.crop
        start = int(place * (spare + 1)) if spare > 0 else 0
        target = self._targets[index][start : start + self.settings.crop].long()
        return self._recordings.piece(index, start * hop, len(target) * hop), target

    def _masked(self, pieces: Sequence[tuple[Tensor, Tensor]], draw: torch.Generator) -> dict[str, Tensor]:
        """Collate `wav` (B, samples), `lengths` (B,), `targets` (B, frames), -1 beyond the end, `mask` (B, frames)."""
        wav = nn.utils.rnn.pad_sequence([piece for piece, _ in pieces], batch_first=True)
        lengths = torch.tensor([len(piece) for piece, _ in pieces])
        targets = nn.utils.rnn.pad_sequence([target for _, target in pieces], batch_first=True, padding_value=-1)
        mask = masked_spans(targets.shape, self.settings.mask_start, self.settings.mask_length, draw)
        return {"wav": wav, "lengths": lengths, "targets": targets, "mask": mask}

    def loss(self, part: str, batch: dict[str, Tensor], context: StepContext) -> tuple[Tensor, Figures]:
        """Return the cross-entropy of the masked frames plus, weighted, that of the others."""
        found = _means(self._sums(batch))
        return found["masked"] + self.settings.unmasked_weight * found["unmasked"], {
            n: x.detach() for n, x in found.items()
        }

    def _sums(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return cross-entropies, correct predictions of masked frames, and numbers of frames, masked and unmasked."""
        targets, known = batch["targets"], batch["targets"] >= 0
        logits = self.head(self.encoder(batch["wav"], batch["lengths"], mask=batch["mask"])).float()
        each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="none")
        hidden, seen = batch["mask"] & known, ~batch["mask"] & known
        hits = (logits.argmax(-1) == targets) & hidden
        each = each.view_as(targets)
        sums = {"masked": (each * hidden).sum(), "unmasked": (each * seen).sum()}
        return {**sums, "hits": hits.sum(), "hidden": hidden.sum(), "seen": seen.sum()}

    def validation(self) -> Sequence[Any]:
        """Return the indices of held-out recordings."""
        return self._held_out

    def validate(self, batch: int) -> Figures:
        """Return sums over the middle of a held-out recording, without augmentation."""
        draw = generator(self.settings.seed, batch, _HELD_OUT_STREAM)
        items = self._masked([self._cut(batch, 0.5)], draw)
        return self._sums({name: x.to(self.head.weight.device) for name, x in items.items()})

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        """Return `masked` and `unmasked` cross-entropy (nats per frame), and the accuracy on masked frames, `hit`."""
        return {name: float(x) for name, x in _means({n: torch.tensor(x) for n, x in sums.items()}).items()}


def _means(sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
    hidden, seen = sums["hidden"].clamp(min=1), sums["seen"].clamp(min=1)
    return {"masked": sums["masked"] / hidden, "unmasked": sums["unmasked"] / seen, "hit": sums["hits"] / hidden}


@torch.no_grad()
def start_as_filterbank(encoder: WavLM, lowest: float = 60.0, highest: float = 7600.0) -> None:
    """Initialise the first convolution as windowed cosines and sines, evenly spaced on the mel scale.

    A small encoder then learns several times faster (cf. Zeghidour et al., arXiv 2101.08596).
    """
    weight = encoder.get_parameter("frontend.0.weight")
    channels, _, kernel = weight.shape
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (lowest, highest))
    mels = torch.linspace(low, high, channels // 2)
    time = (torch.arange(kernel) - (kernel - 1) / 2) / encoder.sample_rate
    phases = 2 * math.pi * (700 * (10 ** (mels / 2595) - 1))[:, None] * time
    waves = torch.cat([phases.cos(), phases.sin()]) * torch.hann_window(kernel + 2)[1:-1]
    weight.copy_((waves / waves.norm(dim=1, keepdim=True))[:, None])
