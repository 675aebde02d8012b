"""The parts of the toy system; none of them inherits from the package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmcore.roles import Generated
from slmcore.speech import Speech
from slmcore.units import Codes, OperatingPoint, Units

RATE, HOP = 8000, 200


class Part:
    """A part that stays where it is, in float32."""

    operating_point: OperatingPoint | None = None

    def to(self, *_args: Any, **_kwargs: Any) -> Any:
        return self


class BandEncoder(Part):
    """Log energies of the bands of each frame."""

    sample_rate, frame_rate, num_layers = RATE, RATE / HOP, 1

    def __init__(self, bands: int) -> None:
        self.dim = bands

    def features(self, wav: Tensor, sr: int, layer: int | None = None) -> Tensor:
        if wav.shape[1] < HOP:
            raise ValueError("The toy encoder needs a frame of sound.")
        step = sr / RATE
        samples = wav[0, (torch.arange(int(wav.shape[1] / step)) * step).long()]
        frames = samples[: len(samples) // HOP * HOP].reshape(-1, HOP)
        power = torch.fft.rfft(frames).abs().square()[:, : HOP // 2]
        return power.unflatten(1, (self.dim, -1)).mean(-1).add(1e-4).log()

    def features_batch(self, wavs: Sequence[Tensor], sr: int, layer: int | None = None) -> list[Tensor]:
        return [self.features(wav, sr, layer) for wav in wavs]


class LoudestBand(Part):
    """The loudest band of each frame, held for at least `lmbda` frames."""

    def __init__(self, k: int, lmbda: float) -> None:
        self.k = self.dim = k
        self.lmbda = lmbda
        self.operating_point = OperatingPoint(zoo="toy", k=k, lmbda=lmbda)

    def segment(self, features: Any) -> Any:
        if isinstance(features, list):
            return [self.segment(each) for each in features]
        held = max(1, int(self.lmbda))
        loudest = features.argmax(1)[::held].repeat_interleave(held)[: len(features)]
        return Units.from_framewise(loudest, BandEncoder.frame_rate, self.operating_point)


class Bigram(Part):
    """Probabilities of a unit after another one; the last row is for the first."""

    device = torch.device("cpu")

    def __init__(self, table: list[list[float]], point: OperatingPoint) -> None:
        self.table, self.operating_point, self.k = torch.tensor(table).log(), point, len(table) - 1

    def logprobs(
        self, sequences: Sequence[Any], *, bos: bool = True, eos: bool = False, progress: bool = False
    ) -> list[Tensor]:
        found = []
        for each in sequences:
            units = torch.as_tensor(each.units if isinstance(each, Units) else each, dtype=torch.int64)
            scored = self.table[torch.cat([torch.tensor([self.k]), units[:-1]]), units]
            found.append(scored if bos else scored[1:])
        return found

    def generate(
        self, prompts: Sequence[Tensor], max_new_units: int, *, num_samples: int = 1, seed: int = 0, **_options: Any
    ) -> Generated:
        new = []
        for prompt in [each for each in prompts for _ in range(num_samples)]:
            units = prompt.tolist() or [seed % self.k]
            for _ in range(max_new_units):
                units.append(int(self.table[units[-1]].argmax()))
            new.append(torch.tensor(units[-max_new_units:]))
        return Generated(new, [torch.zeros(len(units)) for units in new], [False] * len(new))


class Tones(Part):
    """A tone for each unit; no codec behind it."""

    longest_segment, sample_rate, frame_rate = 20.0, RATE, RATE / HOP

    def __init__(self, k: int, point: OperatingPoint) -> None:
        self.k, self.operating_point = k, point

    def speak(self, units: Sequence[Any], seed: int = 0) -> list[Speech]:
        return [self._spoken(each) for each in units]

    def _spoken(self, each: Any) -> Speech:
        known = isinstance(each, Units)
        units = each.units if known else torch.as_tensor(each)
        durations = each.durations if known else torch.ones_like(units)
        bands = units.repeat_interleave(durations * HOP)
        hertz = (bands + 0.5) * RATE / 2 / self.k
        wav = (torch.arange(len(bands)) * hertz * 2 * torch.pi / RATE).sin()[None] * 0.3
        wanted = each.seconds if known else None
        return Speech(wav, RATE, torch.zeros(0, dtype=torch.int64), True, durations, self.frame_rate, wanted)


class SampleCodec(Part):
    """Each sample at 8 kHz in `levels` digits of base 16, the coarsest first."""

    sample_rate, frame_rate, num_codes = RATE, float(RATE), 16

    def __init__(self, levels: int) -> None:
        self.num_codebooks = levels

    def encode_wav(self, wav: Tensor, sr: int) -> Codes:
        step = sr / RATE
        samples = wav[0, (torch.arange(int(wav.shape[1] / step)) * step).long()].clamp(-1, 1)
        whole = ((samples + 1) / 2 * (16**self.num_codebooks - 1)).round().long()
        digits = [whole // 16 ** (self.num_codebooks - 1 - level) % 16 for level in range(self.num_codebooks)]
        return Codes(torch.stack(digits), self.frame_rate, 16)

    def decode_codes(self, codes: Codes) -> Tensor:
        whole = sum(row * 16 ** (self.num_codebooks - 1 - level) for level, row in enumerate(codes.codes))
        return (whole / (16**self.num_codebooks - 1) * 2 - 1)[None].float()  # pyright: ignore[reportAttributeAccessIssue]


def read(path: Path) -> dict[str, Any]:
    """The toy system's files are JSON."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
