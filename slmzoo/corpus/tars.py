"""WebDataset tars: members that share a name up to its first dot are a sample, whose audio is found by extension."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

from slmcore.files import places
from slmcore.files.places import Place
from slmzoo.corpus.endings import LeftOut, is_audio
from slmzoo.corpus.items import Item, folder_of, probable_seconds

__all__ = ["items"]

Sound = tuple[tarfile.TarInfo, dict[str, Any]]


def items(place: Place, left_out: LeftOut | None = None) -> Iterator[Item]:
    """Yield the samples of a tar with audio, in order; `speaker` and `chapter` come from a sample's `.json`.

    An utterance is named after its sample, `a/1` for `a/1.flac`; several in one tar with the same name have their full
    names, `a/1.left` for `a/1.left.wav`. If neither speaker nor chapter is known, the chapter is the folder in the
    sample's name. Members of samples without audio are counted in `left_out`.

    Only the headers are read here; the audio is later read at its offset in the tar. Raises ValueError for a file that
    is not a tar or is truncated, and for a compressed one, which has no offsets.
    """
    with places.open_file(place) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as tar:
                sounds = list(_sounds(place, tar, LeftOut() if left_out is None else left_out))
        except (tarfile.TarError, EOFError) as error:
            raise ValueError(f"{place} is not a complete, uncompressed tar: {error}.") from error
    samples = Counter(_key(member) for member, _ in sounds)
    stems = Counter(_stem(member) for member, _ in sounds)
    for member, metadata in sounds:
        key, stem = _key(member), _stem(member)
        yield Item(
            id=key if samples[key] == 1 else stem if stems[stem] == 1 else _inside(member),
            audio=str(place),
            probable=probable_seconds(member.name, member.size),
            member=member.name,
            offset=member.offset_data,
            size=member.size,
            **(metadata or {"chapter": folder_of(key)}),
        )


def _sounds(place: Place, tar: tarfile.TarFile, left_out: LeftOut) -> Iterator[Sound]:
    """Yield the members with audio, each with the metadata of its sample."""
    for _, members in groupby((member for member in tar if member.isfile()), _key):
        sample = list(members)
        sounds = [member for member in sample if is_audio(member.name)]
        metadata = _metadata(place, tar, sample) if sounds else {}
        for member in sounds:
            yield member, metadata
        if not sounds:
            for member in sample:
                left_out.add(f"{place}/{member.name}")


def _inside(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./")


def _key(member: tarfile.TarInfo) -> str:
    folder, slash, name = _inside(member).rpartition("/")
    return folder + slash + name.partition(".")[0]


def _stem(member: tarfile.TarInfo) -> str:
    return str(PurePosixPath(_inside(member)).with_suffix(""))


def _metadata(place: Place, tar: tarfile.TarFile, sample: list[tarfile.TarInfo]) -> dict[str, Any]:
    for member in sample:
        file = tar.extractfile(member) if member.name.endswith(".json") else None
        if file is not None:
            try:
                values = json.loads(file.read())
            except ValueError as error:
                raise ValueError(f"{place}: {member.name} is not JSON ({error}).") from error
            if isinstance(values, dict):
                return {name: str(values[name]) for name in ("speaker", "chapter") if values.get(name) is not None}
    return {}
