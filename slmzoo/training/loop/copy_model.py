"""Adding a model of another zoo to the user's registry, so that the registry is complete."""

from __future__ import annotations

from slmcore.files.checkpoint import Checkpoint, read
from slmcore.files.fetch import resolve
from slmcore.files.rows import Row
from slmcore.files.zoofile import add_row, rows_of_file
from slmzoo.convert import published
from slmzoo.training.loop.fit import publish
from slmzoo.training.loop.run import rank
from slmzoo.training.loop.settings import RunSettings

__all__ = ["check_copyable", "copy_model"]

_KEPT = ("variant", "encoder", "layer", "sample_rate", "frame_rate", "licence", "origin")


def check_copyable(settings: RunSettings, row: Row) -> None:
    """Raise a ValueError if the user's zoo has another model under this key."""
    for other in _own(settings, row.kind):
        if other.variant == row.variant and other.encoder != row.encoder:
            raise ValueError(
                f"The zoo {settings.zoo!r} in {settings.registry_file} has the {row.kind} {other.encoder}, not "
                f"{row.encoder}. Use that one, or another --registry."
            )


def copy_model(
    settings: RunSettings, row: Row, checkpoint: Checkpoint | None = None, system: str | None = None
) -> None:
    """Add a row for the model of `row` to the user's zoo: by its network address, else with a copy of the file.

    `checkpoint` is that of the loaded model, where its row or a file beside it tells what its own file does not;
    `system` is that of a registry that is new. A no-op if the zoo has the model already.
    """
    if rank() or row.zoo == settings.zoo or any(other.variant == row.variant for other in _own(settings, row.kind)):
        return
    known = {name: getattr(row, name) for name in _KEPT if getattr(row, name) is not None}
    if row.url.startswith(("https://", "http://", "hf://")):
        settings.registry_file.parent.mkdir(parents=True, exist_ok=True)
        entry = {"kind": row.kind, "url": row.url, "sha256": row.sha256, **known}
        add_row(settings.registry_file, settings.zoo, entry, system)
        return
    publish(settings, checkpoint or read(resolve(row), row.kind, published), system, **known)


def _own(settings: RunSettings, kind: str) -> list[Row]:
    file = settings.registry_file
    return [row for row in rows_of_file(file) if row.kind == kind] if file.exists() else []
