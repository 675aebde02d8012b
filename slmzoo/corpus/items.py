"""Utterance of a corpus: name, location of its audio, and metadata."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from torch import Tensor

from slmcore import audio
from slmcore.files import places
from slmzoo.corpus.hf_datasets import audio_bytes

__all__ = ["Item", "as_text", "folder_of", "load", "named_apart", "probable_length", "probable_seconds"]

_BYTES_A_SECOND = {".wav": 32_000, ".aif": 32_000, ".aiff": 32_000, ".flac": 16_000}
_BYTES_A_SECOND_PACKED = 8_000


@dataclass(frozen=True, kw_only=True)
class Item:
    """Utterance to encode."""

    id: str
    """Name, unique in the corpus."""
    audio: str
    """Path or URL of its file; for a dataset, its name as given to `slmzoo.corpus.huggingface`."""
    probable: float = 0.0
    """Estimated duration in seconds, from a manifest or the file size; used only for planning and progress."""
    member: str | None = None
    """Name of the audio in a tar."""
    offset: int | None = None
    """First byte of the audio in a tar."""
    size: int | None = None
    """Bytes of the audio in a tar."""
    row: int | None = None
    """Row of a dataset."""
    stamp: str | None = None
    """Size and time of the file when listed (`places.stamp`); a difference shows that it was replaced."""
    start: float = 0.0
    """Start of the utterance in the audio, seconds."""
    seconds: float | None = None
    """Duration from there, seconds; None is to the end."""
    channel: int | None = None
    """Channel, from 0; None is the mean of all."""
    update: int = 0
    """Number of the update that added it; 0 is the start of the job."""
    removed: bool = False
    """Whether it was removed: its line only preserves the shard boundaries."""
    speaker: str | None = None
    chapter: str | None = None
    """Chapter that language models may span: the folder with its parents, so that no two books share one."""

    @property
    def name(self) -> str:
        """Name of its audio in messages."""
        return f"{self.audio}: {self.member}" if self.member else self.audio

    def to_json(self) -> str:
        """Return the item as one line of JSON, without defaults."""
        usual = {f.name: f.default for f in fields(self)}
        return json.dumps({name: value for name, value in asdict(self).items() if value != usual[name]})

    @classmethod
    def from_json(cls, line: str | bytes) -> Item:
        """Read what `to_json` wrote."""
        return cls(**json.loads(line))


def load(item: Item) -> tuple[Tensor, int]:
    """Load the utterance as mono speech: float32 wav (1, samples) and its rate in Hz.

    Raises OSError for a file that cannot be opened, ValueError for anything but speech: not audio, silent, below 20 ms.
    """
    with _opened(item) as file:
        wav, sr = audio.decode(file, item.name, item.start, item.seconds)
    if item.channel is not None:
        if not 0 <= item.channel < len(wav):
            raise ValueError(f"{item.name} has {len(wav)} channels and none with the number {item.channel}.")
        wav = wav[item.channel : item.channel + 1]
    wav = audio.mono(wav, item.name)
    audio.check(wav, sr, item.name)
    audio.check_audible(wav, item.name, sr)
    return wav, sr


def folder_of(name: str) -> str | None:
    """Return the folder of a relative path, the default chapter; None without one."""
    folder = str(PurePosixPath(name).parent)
    return None if folder == "." else folder


def named_apart(items: Iterable[Item], others: Iterable[str] = ()) -> Iterator[Item]:
    """Yield the items with unique names, other than `others`: repeated names get a number, `name-2`.

    Names, speakers and chapters become valid Unicode: undecodable bytes are escaped, as `\\udcff`.
    """
    taken = set(others)
    numbers: dict[str, int] = {}  # the last number of each name, so that many equal names take linear time
    for item in items:
        name = first = as_text(item.id) or "unnamed"
        while name in taken:
            numbers[first] = numbers.get(first, 1) + 1
            name = f"{first}-{numbers[first]}"
        taken.add(name)
        yield replace(item, id=name, speaker=as_text(item.speaker), chapter=as_text(item.chapter))


def probable_seconds(name: str, size: int) -> float:
    """Estimate the duration of audio of so many bytes by its extension, seconds."""
    suffix = f".{name.rpartition('.')[2].lower()}"
    return round(size / _BYTES_A_SECOND.get(suffix, _BYTES_A_SECOND_PACKED), 2)


def as_text(value: object) -> str | None:
    """Return text without lone surrogates, by which Python represents file names that are not UTF-8."""
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


@lru_cache(maxsize=1024)
def probable_length(place: str) -> float:
    """Return the duration of an audio file by its header, estimated by its size in an object store; 0 if unknown."""
    if places.is_remote(place):
        name = places.path_in(place).rpartition("/")[2]
        return probable_seconds(name, _sizes(str(places.parent(place))).get(name, 0))
    import soundfile

    try:
        return round(soundfile.info(place).duration, 2)
    except (OSError, RuntimeError, ValueError):  # why it cannot be read is reported in its turn
        file = Path(place)
        compressed = file.suffix.lower() in audio.FFMPEG_EXTENSIONS and file.is_file()
        return probable_seconds(place, file.stat().st_size) if compressed else 0.0


@lru_cache(maxsize=4)
def _sizes(folder: str) -> dict[str, int]:
    try:
        return places.sizes(folder)
    except OSError:
        return {}


def _opened(item: Item) -> BinaryIO:
    if item.row is not None:
        return io.BytesIO(audio_bytes(item.audio, item.row))
    file = places.open_file(item.audio)
    if item.offset is None or item.size is None:
        return file
    with file:
        file.seek(item.offset)
        return cast("BinaryIO", io.BytesIO(file.read(item.size)))
