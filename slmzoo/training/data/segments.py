"""Segments of recordings to train on: of files, of a corpus's lists and tars, or of a dataset that is streamed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from slmcore import audio
from slmcore.errors import must
from slmzoo.corpus import huggingface, sources
from slmzoo.corpus.items import Item, load
from slmzoo.training.data.dataset_rows import DatasetRows
from slmzoo.training.data.recordings import Recordings

__all__ = ["FileSegments", "ListedSegments", "SegmentSource", "StreamedSegments", "batch_of", "segments_of"]


class SegmentSource(Protocol):
    """Recordings at one sample rate, from which segments are drawn."""

    def __len__(self) -> int:
        """Number of recordings."""
        ...

    def name(self, index: int) -> str:
        """Name of a recording, without its folder."""
        ...

    def whole(self, index: int) -> Tensor:
        """A recording: float32 (samples,)."""
        ...

    def segment(self, number: int, samples: int, draw: torch.Generator) -> Tensor:
        """Return float32 (n,), n = `samples` or fewer where the recording is shorter.

        `number`: position of the segment in the training, from 0. Nothing else but `draw` decides what is returned, so
        that a run resumes where it was.
        """
        ...

    def identity(self) -> dict[str, str]:
        """Return plain values that a resumed run must find again."""
        ...

    def facts(self) -> dict[str, float | str]:
        """Return the description of the data for a model's provenance."""
        ...


def segments_of(named: Sequence[str], sample_rate: int, column: str | None = None) -> SegmentSource:
    """Open the recordings that `named` names: files, folders, patterns, lists and tars, or one dataset.

    Raises FileNotFoundError for sources that name nothing or hold no audio, ValueError for ones that cannot be read or
    do not go together, ImportError for a dataset without the library.
    """
    datasets = [name for name in named if name.startswith(huggingface.PREFIX)]
    if column is not None and not datasets:
        raise ValueError(must("column", "left out where the audio is no dataset", column))
    if datasets:
        if len(named) > 1:
            raise ValueError(must("audio", "one dataset, or files, folders and lists", list(named)))
        return StreamedSegments(DatasetRows(datasets[0].removeprefix(huggingface.PREFIX), column), sample_rate)
    if any(sources.is_list(name) for name in named):
        return ListedSegments(list(sources.items(named)), sample_rate)
    return FileSegments(Recordings(named, sample_rate))


def batch_of(source: SegmentSource, numbers: range, samples: int, draw: torch.Generator) -> dict[str, Tensor]:
    """Return `wav` (B, samples), padded with zeros, and `lengths` (B,), int64, of the segments of those numbers."""
    found = [source.segment(number, samples, draw) for number in numbers]
    wav = torch.stack([F.pad(each, (0, samples - len(each))) for each in found])
    return {"wav": wav, "lengths": torch.tensor([len(each) for each in found])}


def _cut(wav: Tensor, samples: int, draw: torch.Generator) -> Tensor:
    """Return a segment from a place at random, or all of a wav (n,) that is not longer."""
    spare = max(0, len(wav) - samples)
    start = int(torch.rand((), generator=draw, dtype=torch.float64) * (spare + 1))
    return wav[start : start + samples]


class FileSegments:
    """Segments of audio files, drawn in proportion to length; only the segments are read."""

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings

    def __len__(self) -> int:
        return len(self._recordings)

    def name(self, index: int) -> str:
        """Name of the file, without folder and extension."""
        return self._recordings.files[index].stem

    def whole(self, index: int) -> Tensor:
        """A recording: float32 (samples,)."""
        return self._recordings.whole(index)

    def segment(self, number: int, samples: int, draw: torch.Generator) -> Tensor:
        """Return a segment at random, float32 (n,)."""
        lengths = self._recordings.lengths
        index = int(torch.multinomial(lengths.double(), 1, generator=draw))
        length = int(lengths[index])
        spare = max(0, length - samples)
        start = int(torch.rand((), generator=draw, dtype=torch.float64) * (spare + 1))
        return self._recordings.piece(index, start, min(samples, length))

    def identity(self) -> dict[str, str]:
        """Nothing: a run may be resumed with more recordings."""
        return {}

    def facts(self) -> dict[str, float | str]:
        """Hours and number of recordings."""
        return {"hours": round(self._recordings.hours, 3), "recordings": len(self)}


class ListedSegments:
    """Segments of the utterances of a corpus, which are drawn in proportion to the length that is probable."""

    def __init__(self, items: Sequence[Item], sample_rate: int) -> None:
        if not items:
            raise ValueError(must("audio", "sources with one or more utterances", "none"))
        self._items, self._rate = items, sample_rate
        seconds = torch.tensor([item.seconds or item.probable for item in items], dtype=torch.float64)
        known = seconds[seconds > 0]
        self._weights = torch.where(seconds > 0, seconds, known.mean() if len(known) else 1.0)

    def __len__(self) -> int:
        return len(self._items)

    def name(self, index: int) -> str:
        """Name of the utterance, without its folder."""
        return self._items[index].id.rpartition("/")[2]

    def whole(self, index: int) -> Tensor:
        """An utterance: float32 (samples,)."""
        return audio.resample(*load(self._items[index]), self._rate)[0]

    def segment(self, number: int, samples: int, draw: torch.Generator) -> Tensor:
        """Return a segment at random, float32 (n,)."""
        index = int(torch.multinomial(self._weights, 1, generator=draw))
        return _cut(self.whole(index), samples, draw)

    def identity(self) -> dict[str, str]:
        """Nothing: a run may be resumed with more recordings."""
        return {}

    def facts(self) -> dict[str, float | str]:
        """Probable hours and number of utterances."""
        return {"hours": round(float(self._weights.sum()) / 3600, 3), "recordings": len(self)}


class StreamedSegments:
    """Segments of the rows of a dataset, in the order that `DatasetRows` gives each pass over it."""

    def __init__(self, rows: DatasetRows, sample_rate: int) -> None:
        self._rows, self._rate = rows, sample_rate

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """Number of the row."""
        return f"{index:09d}"

    def whole(self, index: int) -> Tensor:
        """The audio of a row: float32 (samples,)."""
        return self._at_rate(*self._rows.read(index))

    def segment(self, number: int, samples: int, draw: torch.Generator) -> Tensor:
        """Return a segment of the `number`-th row of the stream, float32 (n,)."""
        return _cut(self._at_rate(*self._rows.of_stream(number)), samples, draw)

    def identity(self) -> dict[str, str]:
        """Digest of the dataset's files, without which its order would be another."""
        return {"dataset": self._rows.identity}

    def facts(self) -> dict[str, float | str]:
        """Name and number of rows."""
        return {"dataset": self._rows.name, "recordings": len(self)}

    def _at_rate(self, wav: Tensor, rate: int) -> Tensor:
        return audio.resample(wav, rate, self._rate)[0]
