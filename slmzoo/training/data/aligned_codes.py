"""Codec tokens aligned with units: from files, or from audio that is encoded once and cached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ellav import EllaVTokenizer
from slmcore import audio
from slmzoo.training.data.feature_samples import write_npy
from slmzoo.training.data.unit_files import Spoken, all_checked, arrays_in, load_array
from slmzoo.training.loop.run import rank
from wavtokenizer import WavTokenizer

__all__ = ["Utterance", "aligned_files", "check_durations", "encoded", "utterances"]

_TOLD = 5


@dataclass(frozen=True)
class Utterance:
    """Training utterance of ELLA-V."""

    name: str
    units: Tensor
    """Framewise units at the tokenizer's phone rate, int64 (frames,)."""
    codes: Tensor
    """Codec tokens at the tokenizer's codec rate, int64 (tokens,)."""


def aligned_files(corpus: Sequence[Spoken], folder: Path, of_audio: bool) -> dict[str, Path]:
    """Return the file of each utterance below `folder`, by name: numbers for `load_array`, or audio of any suffix.

    Raises FileNotFoundError for a missing folder, and a ValueError that names utterances without a file and files
    without an utterance.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"There is no folder {folder}. Give that of the codec tokens, or of audio with --codec."
        )
    files = audio.find(str(folder)) if of_audio else arrays_in(folder)
    found = {Path(file).relative_to(folder).with_suffix("").as_posix(): Path(file) for file in files}
    names = {spoken.name for spoken in corpus}
    unpaired = {
        "units without a file in": sorted(names - found.keys()),
        "no units for files in": sorted(found.keys() - names),
    }
    wrong = [f"{what} {folder}: {_listed(which)}" for what, which in unpaired.items() if which]
    if wrong:
        raise ValueError(f"There are {'; '.join(wrong)}. Both folders must hold the same names.")
    return found


def encoded(files: Mapping[str, Path], codec: WavTokenizer, folder: Path) -> dict[str, Path]:
    """Encode audio files to codec tokens in .npy files in `folder`, skipping existing ones."""
    kept = {name: folder / f"{name}.npy" for name in files}
    missing = [name for name, file in kept.items() if not file.exists()]
    for name in tqdm(missing, desc=f"codec tokens, {folder.name}", unit="file", disable=not missing or rank() > 0):
        codes = codec.encode(*audio.load(files[name])).flatten().cpu()
        write_npy(kept[name], codes.to(torch.int16 if codec.num_codes <= 1 << 15 else torch.int32))
    return kept


def utterances(
    corpus: Sequence[Spoken], files: Mapping[str, Path], tokenizer: EllaVTokenizer, tolerance: float
) -> list[Utterance]:
    """Return units with their codec tokens; one ValueError for all that are empty, out of range or misaligned."""

    def joined(spoken: Spoken) -> Utterance:
        codes = load_array(files[spoken.name], tokenizer.num_codec_types, "codec tokens")
        made = Utterance(spoken.name, spoken.framewise, codes)
        check_durations(made, tokenizer, tolerance)
        return made

    return all_checked(corpus, joined)


def check_durations(utterance: Utterance, tokenizer: EllaVTokenizer, tolerance: float = 0.1) -> None:
    """Raise a ValueError where units and codec tokens differ by more than `tolerance` seconds (published: 0.1)."""
    units = len(utterance.units) / tokenizer.phone_token_rate
    codes = len(utterance.codes) / tokenizer.codec_token_rate
    if abs(units - codes) > tolerance:
        raise ValueError(
            f"{utterance.name}: units last {units:.2f} s and codec tokens {codes:.2f} s. "
            f"They must agree within {tolerance} s; make both from the same audio."
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more
