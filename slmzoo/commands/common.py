"""Base of the commands on audio: inputs, device, results as JSONL, and one line per failed file."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.files import places
from slmcore.files.rows import Row, check_k, check_lmbda
from slmcore.roles import UnitLanguageModel
from slmcore.threads import one_unless_worth
from slmcore.units import Codes, Units
from slmzoo import hub
from slmzoo.commands.options.common import (
    AudioOptions,
    DecodingOptions,
    DeviceOptions,
    ModelOptions,
    PrecisionOptions,
    SynthesisOptions,
    ZooOptions,
)
from slmzoo.commands.results import ResultsCommand
from slmzoo.commands.waiting import is_quiet, waiting
from slmzoo.corpus.sources import is_list
from slmzoo.pipeline import Pipeline

__all__ = [
    "AudioCommand",
    "DecodingCommand",
    "DeviceCommand",
    "FilesCommand",
    "ModelCommand",
    "PreciseCommand",
    "ResultsCommand",
    "SynthesisCommand",
    "complain",
    "describe",
    "describe_codes",
    "device_of",
    "parse_point",
    "point_of",
]

logger = logging.getLogger(__name__)

Made = TypeVar("Made")
Finish = Callable[[list[Made]], list[dict[str, Any]]]


def device_of(asked: str) -> Literal["cpu", "cuda"]:
    """Return the requested device, or the fastest available. Raises ValueError for CUDA where there is none."""
    cuda = torch.cuda.is_available()
    if asked == "cuda" and not cuda:
        raise ValueError("There is no CUDA device here. Use --device cpu.")
    return "cuda" if asked != "cpu" and cuda else "cpu"


@dataclass(frozen=True, kw_only=True)
class DeviceCommand(DeviceOptions, ResultsCommand):
    """Command with a device."""

    def chosen_device(self) -> Literal["cpu", "cuda"]:
        """Return the requested device, or the fastest available."""
        return device_of(self.device)


@dataclass(frozen=True, kw_only=True)
class PreciseCommand(ZooOptions, PrecisionOptions, DeviceCommand):
    """Command with models of a zoo."""

    @property
    def precision(self) -> dict[str, str]:
        """Precision of the models, for results."""
        return {"dtype": self.dtype, "weights": "float"}


@dataclass(frozen=True, kw_only=True)
class ModelCommand(ModelOptions, PreciseCommand):
    """Command that loads the models of an operating point."""

    def pipeline(self, *needs: str, **parts: Any) -> Pipeline:
        """Load the models of this operating point on the device; a ValueError names a missing role of `needs`."""
        with waiting(f"loading models of the zoo {self.zoo}"):
            options = {**self._loading(), **parts}
            return hub.pipeline(self.k, self.lmbda, needs=needs, **options).to(self.chosen_device())

    def _loading(self) -> dict[str, Any]:
        return {
            "zoo": self.zoo,
            "registry": self.registry,
            "variant": self.variant,
            "dtype": getattr(torch, self.dtype),
        }


@dataclass(frozen=True, kw_only=True)
class DecodingCommand(DecodingOptions, ModelCommand):
    """Command that also loads a language model or an acoustic model."""

    @property
    def precision(self) -> dict[str, str]:
        """Precision of the models, for results."""
        return {"dtype": self.dtype, "weights": self.weights}

    def language_model(self) -> tuple[UnitLanguageModel, Mapping[str, Row]]:
        """Load only the language model of this operating point, on the device; also return its row by kind."""
        loading = self._loading()
        where = hub.Source(zoo=loading.pop("zoo"), registry=loading.pop("registry"))
        load: Callable[..., Any] = hub.language_model  # from a source, which records its rows
        model = load(k=self.k, lmbda=self.lmbda, where=where, **loading)
        return model.to(self.chosen_device()), where.found

    def _loading(self) -> dict[str, Any]:
        if self.chosen_device() == "cuda" and self.weights != "float":
            raise ValueError(must("weights", "float on CUDA", self.weights, "Use --dtype bfloat16, or --device cpu."))
        return {**super()._loading(), "weights": None if self.weights == "float" else self.weights}


@dataclass(frozen=True, kw_only=True)
class SynthesisCommand(SynthesisOptions, DecodingCommand):
    """Command whose pipeline speaks, with an acoustic model of choice."""

    def pipeline(self, *needs: str, **parts: Any) -> Pipeline:
        """Load the models of this operating point on the device; a ValueError names a missing role of `needs`."""
        return super().pipeline(*needs, synthesizer=self.synthesizer, **parts)


@dataclass(frozen=True, kw_only=True)
class FilesCommand(AudioOptions, PreciseCommand):
    """Command on audio files."""

    def for_each(self, work: Callable[[Path, Tensor, int], Made], finish: Finish[Made] = list, batch: int = 1) -> int:
        """Call `work(path, wav, rate)` for each input; failures are reported, and the others continue.

        `finish` turns the outcomes of up to `batch` inputs into results. Returns the exit status: 0 for success, 1
        otherwise.
        """
        self.check_inputs()
        files, failed = self._files()
        progress = tqdm(total=len(files), unit="file", disable=None if len(files) > 1 and not is_quiet() else True)
        with self.results() as write, progress, one_unless_worth(torch.device(self.chosen_device())):
            for first in range(0, len(files), batch):
                made: dict[Path, Made] = {}
                for path in files[first : first + batch]:
                    try:
                        made[path] = work(path, *_read(path))
                    except (OSError, ValueError, MemoryError) as error:
                        complain(path, error)
                        failed += 1
                    progress.update()
                for path, row in zip(made, finish(list(made.values())), strict=True):
                    write({"file": str(path), **row})
        return 1 if failed else 0

    def check_inputs(self) -> None:
        """Raise a ValueError for an input other than local audio: a URL, a list, a tar, a data set."""
        for source in self.inputs:
            if places.is_remote(source) or (is_list(source) and not Path(source).is_dir()):
                remedy = "`slmzoo units` reads it with --out DIR."
                raise ValueError(must("AUDIO", "files, folders or patterns of this machine", source, remedy))

    def _files(self) -> tuple[list[Path], int]:
        matches = audio.search(self.inputs)
        empty = [FileNotFoundError(f"{source} holds no audio file.") for source in matches.empty]
        for error in [*matches.problems, *empty]:
            complain("", error)
        if matches.left_out:
            logger.warning("%s", matches.describe_left_out())
        return matches.files, len(matches.problems) + len(empty)


def _read(path: Path) -> tuple[Tensor, int]:
    wav, rate = audio.load(path)
    audio.check_audible(wav, str(path), rate)
    return wav, rate


@dataclass(frozen=True, kw_only=True)
class AudioCommand(FilesCommand, ModelCommand):
    """Command on audio with the models of an operating point."""


def complain(what: object, error: BaseException) -> None:
    """Write a line that names the file to standard error."""
    text = " ".join(str(error).split()) or type(error).__name__
    tqdm.write(f"slmzoo: {text}" if str(what) in text else f"slmzoo: {what}: {text}", file=sys.stderr)


def describe(units: Units) -> dict[str, Any]:
    """Return units as the fields of a result."""
    return {
        "units": units.units.tolist(),
        "durations": units.durations.tolist(),
        "frame_rate": units.frame_rate,
        "seconds": round(units.seconds, 3),
        "units_per_second": round(len(units) / units.seconds, 3),
        **point_of(units),
    }


def describe_codes(codes: Codes, zoo: str) -> dict[str, Any]:
    """Return codes as the fields of a result."""
    return {
        "codes": codes.codes.tolist(),
        "frame_rate": codes.frame_rate,
        "codebook_size": codes.codebook_size,
        "seconds": round(codes.seconds, 3),
        "bits_per_second": round(codes.bits_per_second, 3),
        "zoo": zoo,
    }


def point_of(units: Units) -> dict[str, Any]:
    """Return the operating point of units as the fields of a result."""
    point = units.operating_point
    return {name: getattr(point, name, None) for name in ("zoo", "k", "lmbda", "num_neighbors")}


def parse_point(text: str) -> tuple[int, float]:
    """Parse k and lambda of one of --points, such as "500:4500"."""
    if not re.fullmatch(r"\d+:\d+(\.\d+)?", text):
        raise ValueError(f"--points must be like 500:4500 (k:lambda), but one is {text!r}.")
    codes, _, weight = text.partition(":")
    k, lmbda = int(codes), float(weight)
    check_k(k)
    check_lmbda(lmbda)
    return k, lmbda
