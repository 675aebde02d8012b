"""WebDataset tars: members that share a name up to its first dot are a sample; its audio is found by the extension."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from typing import Any

from slmcore import audio
from slmcore.files import places
from slmcore.files.places import Place
from slmzoo.corpus.items import Item, folder_of, probable_seconds

__all__ = ["items"]


def items(place: Place) -> Iterator[Item]:
    """The samples of a tar that hold audio, in its order; `speaker` and `chapter` from a sample's `.json`.

    Where neither is known, the chapter is the folder in the sample's name.

    Only the headers are read here; the audio is later read from its place in the tar. Raises ValueError for a file
    that is no tar or is cut off, and for a compressed one, in which there are no places.
    """
    with places.open_file(place) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                sample: list[tarfile.TarInfo] = []
                for member in tar:
                    if not member.isfile():
                        continue
                    if sample and _key(member) != _key(sample[0]):
                        yield from _of_sample(place, tar, sample)
                        sample = []
                    sample.append(member)
                if sample:
                    yield from _of_sample(place, tar, sample)
        except (tarfile.TarError, EOFError) as error:
            raise ValueError(f"{place} is no whole, uncompressed tar: {error}.") from error


def _key(member: tarfile.TarInfo) -> str:
    folder, slash, name = member.name.removeprefix("./").rpartition("/")
    return folder + slash + name.partition(".")[0]


def _of_sample(place: Place, tar: tarfile.TarFile, sample: list[tarfile.TarInfo]) -> Iterator[Item]:
    sounds = [member for member in sample if member.name.lower().endswith(audio.EXTENSIONS)]
    told = _told(tar, sample) if sounds else {}
    for member in sounds:
        yield Item(
            id=_key(member),
            audio=str(place),
            probable=probable_seconds(member.name, member.size),
            offset=member.offset_data,
            size=member.size,
            **(told or {"chapter": folder_of(_key(member))}),
        )


def _told(tar: tarfile.TarFile, sample: list[tarfile.TarInfo]) -> dict[str, Any]:
    for member in sample:
        file = tar.extractfile(member) if member.name.endswith(".json") else None
        if file is not None:
            try:
                values = json.loads(file.read())
            except ValueError as error:
                raise ValueError(f"{tar.name}: {member.name} is not JSON ({error}).") from error
            if isinstance(values, dict):
                return {name: str(values[name]) for name in ("speaker", "chapter") if values.get(name) is not None}
    return {}
