"""Splitting of a ragged batch into blocks of frames, to bound the memory of distances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Piece", "blocks"]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Frames first..last (exclusive) of one utterance, whose rest is in earlier or later blocks."""

    utterance: int
    first: int
    last: int
    length: int
    """Frames of the whole utterance."""

    def __len__(self) -> int:
        return self.last - self.first

    @property
    def begins(self) -> bool:
        """Whether the utterance begins with this segment."""
        return self.first == 0

    @property
    def ends(self) -> bool:
        """Whether the utterance ends with this segment."""
        return self.last == self.length


def blocks(lengths: Sequence[int], size: int) -> Iterator[list[Piece]]:
    """Split consecutive utterances of `lengths` frames into blocks of `size` frames."""
    block: list[Piece] = []
    room = size
    for utterance, length in enumerate(lengths):
        first = 0
        while first < length:
            last = min(length, first + room)
            block.append(Piece(utterance=utterance, first=first, last=last, length=length))
            room -= last - first
            first = last
            if room == 0:
                yield block
                block, room = [], size
    if block:
        yield block
