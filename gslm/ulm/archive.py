"""The published archive of a language model: a checkpoint of fairseq and the dict.txt of its tokens."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from slmcore.errors import CheckpointError

__all__ = ["unpacked"]

_DICTIONARY, _WEIGHTS = "dict.txt", "checkpoint_best.pt"


@contextmanager
def unpacked(path: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the checkpoint and the dict.txt of a `.tgz`, or of a checkpoint with dict.txt beside it.

    An archive is unpacked into a temporary folder: its two files alone, by name, in any folder of it. Raises
    CheckpointError for a damaged archive or one that lacks a file.
    """
    if not _is_archive(path):
        yield path, path.with_name(_DICTIONARY)
    else:
        with TemporaryDirectory() as folder:
            _extract(path, Path(folder))
            yield Path(folder) / _WEIGHTS, Path(folder) / _DICTIONARY


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b" or path.suffix in (".tgz", ".tar") or path.name.endswith(".tar.gz")


def _extract(path: Path, folder: Path) -> None:
    missing = {_DICTIONARY, _WEIGHTS}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if member.isfile() and name in missing else None
                if content is not None:
                    missing.discard(name)
                    with content, (folder / name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise CheckpointError(f"{path.name} is damaged, or no archive: {error}. Download it again.") from error
    if missing:
        held = f"{path.name} lacks {' and '.join(sorted(missing))}"
        raise CheckpointError(f"{held}, which a language model needs. Download it again.")
