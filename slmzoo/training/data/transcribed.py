"""Utterances with their texts: a manifest, phones as ids, and codes that are encoded once and kept."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.errors import must
from slmcore.roles import Codec
from slmcore.units import Codes
from slmzoo.training.data.feature_samples import write_npy
from slmzoo.training.loop.run import rank

__all__ = ["Transcribed", "TranscribedCodes", "coded", "fitting", "phones_of_all", "read_manifest"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transcribed:
    """A recording with what is said in it."""

    file: Path
    text: str


@dataclass(frozen=True)
class TranscribedCodes:
    """Training utterance of USLM."""

    ids: Tensor
    """Ids of the phones between begin and end, int64 (n,)."""
    file: Path
    """Codes of all levels as .npy, (levels, frames)."""
    frames: int

    def codes(self, levels: int, size: int) -> Tensor:
        """Read the codes, int64 (levels, frames). Raises ValueError for other levels or a code >= `size`."""
        found = torch.from_numpy(np.load(self.file).astype(np.int64))
        if found.ndim != 2 or len(found) != levels:
            raise ValueError(must("codes", f"of {levels} levels in {self.file}", tuple(found.shape)))
        if found.numel() and not 0 <= int(found.min()) <= int(found.max()) < size:
            wrong = f"from {int(found.min())} to {int(found.max())}"
            raise ValueError(must("codes", f"from 0 to {size - 1} in {self.file}", wrong))
        return found


def read_manifest(path: Path) -> list[Transcribed]:
    """Read lines of an audio file, a tab, and its text; paths are relative to the manifest's folder.

    Raises FileNotFoundError for a manifest or an audio file that is missing, ValueError that names a line without a
    text, a file that is listed twice, or an empty manifest.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No manifest at {path}. Give a file with lines of an audio file, a tab, and its text.")
    found: dict[Path, Transcribed] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        name, _, text = line.partition("\t")
        file, where = path.parent / name.strip(), f"{path}, line {number},"
        if not name.strip() or not text.strip():
            raise ValueError(must(where, "an audio file, a tab, and its text", line))
        if not file.is_file():
            raise FileNotFoundError(f"{where} names {file}, which is not there.")
        if file in found:
            raise ValueError(must(where, "another file than those before", name))
        found[file] = Transcribed(file, text.strip())
    if not found:
        raise ValueError(must("manifest", "of at least one utterance", f"{path}, which is empty"))
    return list(found.values())


def fitting(utterances: Sequence[Transcribed], shortest: float, longest: float) -> list[Transcribed]:
    """Return the utterances of `shortest` to `longest` seconds. Raises ValueError if there are none."""
    lengths = [audio.length(each.file) for each in utterances]
    kept = [u for u, (n, rate) in zip(utterances, lengths, strict=True) if shortest <= n / rate <= longest]
    if not kept:
        seconds = [n / rate for n, rate in lengths]
        durations = f"a manifest with {min(seconds):.2f} to {max(seconds):.2f} s"
        remedy = "Change --shortest or --longest."
        raise ValueError(must("utterances", f"of {shortest:g} to {longest:g} s, at least one", durations, remedy))
    if len(kept) < len(utterances):
        out = len(utterances) - len(kept)
        logger.warning("%d utterances are left out: not of %g to %g s.", out, shortest, longest)
    return kept


def phones_of_all(utterances: Sequence[Transcribed], phones_of: Callable[[str], list[str]]) -> list[list[str]]:
    """Return the phones of each utterance. Raises ValueError that names the file of a text without any."""

    def one(utterance: Transcribed) -> list[str]:
        try:
            return phones_of(utterance.text)
        except ValueError as error:
            raise ValueError(f"{utterance.file}: {error}") from error

    return [one(each) for each in tqdm(utterances, desc="phones", unit="text", disable=None)]


def coded(utterances: Sequence[Transcribed], codec: Codec, folder: Path) -> list[Path]:
    """Codes of all levels as .npy files (levels, frames) in `folder`, where they are kept: none is made again.

    Raises ValueError that names a recording that the codec cannot encode, as one shorter than a frame.
    """
    kept = [folder / f"{hashlib.sha256(str(each.file.resolve()).encode()).hexdigest()[:32]}.npy" for each in utterances]
    missing = [(each, file) for each, file in zip(utterances, kept, strict=True) if not file.exists()]
    for utterance, file in tqdm(missing, desc="codes", unit="file", disable=None if missing and not rank() else True):
        write_npy(file, _encoded(utterance, codec).codes.to(_narrow(codec.num_codes)))
    return kept


def _encoded(utterance: Transcribed, codec: Codec) -> Codes:
    wav, rate = audio.load(utterance.file)
    try:
        return codec.encode_wav(audio.mono(wav), rate)
    except ValueError as error:
        raise ValueError(f"{utterance.file}: {error}") from error


def _narrow(codes: int) -> torch.dtype:
    return torch.int16 if codes <= 1 << 15 else torch.int32
