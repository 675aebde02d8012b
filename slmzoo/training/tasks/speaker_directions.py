"""Features with speaker directions projected out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from slmcore.clustering.dtw import align
from slmcore.errors import must

__all__ = ["SpeakerProjected", "check_directions", "spoken_by_all"]


class SpeakerProjected:
    """Blocks of frames with the directions in which speakers differ projected out.

    Codes fitted to them have no component in these directions, so that a frame's squared distances to all codes contain
    the same term for its speaker, which does not change the nearest code (nuisance attribute projection: Solomonoff et
    al., ICASSP 2005, for speakers instead of channels).
    """

    def __init__(self, blocks: Sequence[np.ndarray], middle: Tensor, directions: Tensor) -> None:
        """`blocks`: (n, dim) each; `middle` (dim,): origin of the orthonormal `directions` (size, dim)."""
        self._blocks, self._middle, self._directions = blocks, middle.float(), directions.float()

    @classmethod
    def of_means(
        cls, blocks: Sequence[np.ndarray], voices: Sequence[str], counts: Sequence[int], size: int
    ) -> SpeakerProjected:
        """Project out the directions in which the means of the speakers differ most.

        `voices`, `counts`: of each recording in the blocks, in order, its voice and frames. Raises ValueError for more
        directions than voices or dimensions allow.
        """
        names = {name: number for number, name in enumerate(dict.fromkeys(voices))}
        dim = blocks[0].shape[1]
        check_directions(size, dim, len(names))
        of_frame = torch.tensor([names[voice] for voice in voices]).repeat_interleave(torch.tensor(counts))
        sums = torch.zeros(len(names), dim, dtype=torch.float64)
        for block, spoken_by in zip(blocks, of_frame.split([len(block) for block in blocks]), strict=True):
            sums.index_add_(0, spoken_by, torch.from_numpy(block.astype(np.float64)))
        means = sums / torch.bincount(of_frame, minlength=len(names))[:, None]
        middle = means.mean(0)
        return cls(blocks, middle, torch.linalg.svd(means - middle, full_matrices=False).Vh[:size])

    @classmethod
    def of_sentences(
        cls, blocks: Sequence[np.ndarray], sentences: Iterable[Sequence[Tensor]], size: int
    ) -> SpeakerProjected:
        """Project out the directions in which speakers differ most on the same sentences.

        `sentences`: features of each sentence by all speakers, (frames, dim) each; speakers are aligned in time to the
        first, and each frame is compared with the mean of the frames aligned with it. Raises ValueError for more
        directions than the features have dimensions.
        """
        dim = blocks[0].shape[1]
        check_directions(size, dim)
        scatter, middle, count = torch.zeros(dim, dim).double(), torch.zeros(dim).double(), 0
        for first, *others in sentences:
            paired = torch.stack([first, *(x[align(first, x)] for x in others)]).double()
            apart = (paired - paired.mean(0)).flatten(0, 1)
            scatter += apart.T @ apart
            middle, count = middle + paired.sum((0, 1)), count + len(apart)
        return cls(blocks, middle / max(1, count), torch.linalg.eigh(scatter).eigenvectors.T.flip(0)[:size])

    def __iter__(self) -> Iterator[Tensor]:
        for block in self._blocks:
            x = torch.from_numpy(np.array(block))
            yield x - (x - self._middle) @ self._directions.T @ self._directions


def check_directions(size: int, dim: int, voices: int | None = None) -> None:
    """Raise a ValueError unless `size` directions can be removed from features of `dim` values.

    The means of `voices` span one direction less than there are voices; None is for aligned sentences.
    """
    most, among = dim, f"features of {dim} values"
    if voices is not None:
        most, among = min(voices, dim), f"{voices} voices in {dim} values"
    if not 0 <= size < most:
        raise ValueError(must("speaker_directions", f"from 0 to {most - 1} for {among}", size))


def spoken_by_all(files: Sequence[Path]) -> list[list[Path]]:
    """Return the files of each name that occurs in every speaker's folder, sorted."""
    voices = sorted({file.parent for file in files})
    found: dict[str, dict[Path, Path]] = {}
    for file in files:
        found.setdefault(file.stem, {})[file.parent] = file
    return [[found[name][voice] for voice in voices] for name in sorted(found) if len(found[name]) == len(voices)]
