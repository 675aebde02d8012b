"""Run folder: settings, checkpoints and logs, which survive any interruption."""

from __future__ import annotations

import csv
import io
import logging
import os
import pickle
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

from slmcore.errors import CheckpointError, must
from slmcore.files import atomic
from slmcore.files.places import write_bytes
from slmcore.files.zoofile import check_zoo
from slmzoo.renamed import current_names
from slmzoo.training.loop.settings import RunSettings

__all__ = ["Run", "Table", "rank"]

logger = logging.getLogger(__name__)
_SETTINGS, _EARLIER = "config.yaml", "earlier.yaml"
_RANKS = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")


class Run:
    """Run folder, written by the first of several processes and read by the others."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.train, self.validation = Table(path / "train.csv"), Table(path / "validation.csv")

    @classmethod
    def check(cls, settings: RunSettings) -> bool:
        """Return whether the folder holds a run, which `open` will resume or remove.

        Raises FileExistsError for a run without `resume` or `overwrite` and for a folder of other content, ValueError
        for a registry that is invalid or of another zoo.
        """
        check_zoo(settings.registry_file, settings.zoo)
        path = settings.run
        if path.exists() and not path.is_dir():
            raise FileExistsError(f"{path} is a file. Name another folder in --run.")
        taken = path.is_dir() and any(path.iterdir())
        if taken and not (path / _SETTINGS).is_file():
            raise FileExistsError(f"{path} is not empty and holds no run. Name another folder in --run.")
        if taken and not (settings.resume or settings.overwrite or rank()):
            raise FileExistsError(f"There is a run in {path}. Give --resume to continue it, or --overwrite.")
        if taken and settings.resume:
            cls(path)._refuse_changes(settings)
        return taken

    @classmethod
    def open(cls, settings: RunSettings) -> Run:
        """Create the folder of a new run, or open an existing one to resume. Raises as `check` does."""
        run, path = cls(settings.run), settings.run
        taken = cls.check(settings)
        if rank():
            return run
        if taken and settings.overwrite:
            shutil.rmtree(path)
        if taken and settings.resume:
            run._tell_differences(settings)
        else:
            run.keep(settings)
        return run

    def keep(self, settings: RunSettings) -> None:
        """Record the settings of a new run; a resumed run does so once its checkpoint fits."""
        self._write(_SETTINGS, settings.kept())

    def resume(self, settings: RunSettings, step: int, done: bool) -> None:
        """Record the options of a run resumed after `step` steps, and keep those in effect until then.

        A run that is `done` keeps its options, except those of where its result goes.
        """
        before, now = self.settings(), settings.kept()
        changed = {name: before[name] for name, value in now.items() if before.get(name, value) != value}
        changed = {name: value for name, value in changed.items() if name not in settings.of_the_result}
        if done:
            now |= changed
            if changed:
                logger.warning("%s is finished: %s stay as they were.", self.path, ", ".join(changed))
        elif changed and step:
            self._write(_EARLIER, [*self.earlier(), {"until_step": step, **changed}])
        self._write(_SETTINGS, now)

    def settings(self) -> dict[str, Any]:
        """Return the options of the last training, as plain values; none if the folder has no run."""
        return current_names(self._read(_SETTINGS) or {})

    def earlier(self) -> list[dict[str, Any]]:
        """Return, for each resumption with other options, `until_step` and their former values."""
        return self._read(_EARLIER) or []

    def _read(self, name: str) -> Any:
        file = self.path / name
        return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None

    def _write(self, name: str, content: Any) -> None:
        with self.writing("No checkpoint was written"):
            self.path.mkdir(parents=True, exist_ok=True)
            write_bytes(self.path / name, yaml.safe_dump(content, sort_keys=False).encode())

    def load(self, name: str) -> dict[str, Any] | None:
        """Load the checkpoint `name` to the CPU; None if there is none. A CheckpointError if it is damaged."""
        path = self.path / name
        if not path.is_file():
            return None
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}. Remove it, or give --overwrite.") from error

    def save(self, name: str, state: Mapping[str, Any], kept: str) -> None:
        """Write a checkpoint atomically. An OSError names what is `kept` if that fails."""
        with self.writing(kept), atomic.writing(self.path / name) as file:
            torch.save(dict(state), file)

    @contextmanager
    def writing(self, kept: str) -> Iterator[None]:
        """Turn disk errors into one message."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            # torch's writer reports a full disk as a RuntimeError.
            if isinstance(error, RuntimeError) and "PytorchStreamWriter" not in str(error):
                raise
            raise OSError(
                f"Could not write to {self.path}: {error}. {kept}. Make room on the disk and give --resume."
            ) from error

    def reached(self, monitor: str | None) -> dict[str, float]:
        """Return step and held-out figures of the final weights; none if nothing was held out."""
        columns = self.validation.columns()
        if not columns:
            return {}
        steps, values = columns[monitor or next(iter(columns))]
        place = len(values) - 1 if monitor is None else values.index(min(values))
        step = steps[place]
        return {"step": step, **{name: dict(zip(*column, strict=True))[step] for name, column in columns.items()}}

    def _refuse_changes(self, settings: RunSettings) -> None:
        """Raise a ValueError for another value of an option on which the folder's content depends."""
        before, now = self.settings(), settings.kept()
        for name in sorted(settings.fixed & before.keys()):
            if before[name] != now[name]:
                remedy = "Give it that value again, or --overwrite to start anew."
                raise ValueError(must(name, f"{before[name]!r}, with which {self.path} began", now[name], remedy))

    def _tell_differences(self, settings: RunSettings) -> None:
        before = self.settings()
        now = settings.kept()
        changed = [f"{name}: {before.get(name)} -> {value}" for name, value in now.items() if before.get(name) != value]
        if changed:
            logger.warning("%s is resumed with other settings (%s).", self.path, "; ".join(changed))


class Table:
    """CSV file of figures with a column "step", to which columns may be added."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict[str, str]]:
        """Read the rows in order; a half-written last row is dropped."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [row for row in csv.DictReader(file) if None not in row and None not in row.values()]

    def columns(self) -> dict[str, tuple[list[int], list[float]]]:
        """Return steps and values of each figure."""
        found: dict[str, tuple[list[int], list[float]]] = {}
        for row in self.read():
            for name, value in row.items():
                if name != "step" and value != "":
                    steps, values = found.setdefault(name, ([], []))
                    steps.append(int(row["step"]))
                    values.append(float(value))
        return found

    def cut(self, step: int) -> None:
        """Drop the rows after `step`, which will be logged again."""
        rows = self.read()
        if rows:
            self._write(list(rows[0]), [row for row in rows if int(row["step"]) <= step])

    def append(self, step: int, figures: Mapping[str, float]) -> None:
        """Append a row. Nine digits distinguish any two float32."""
        row = {"step": str(step), **{name: f"{value:.9g}" for name, value in figures.items()}}
        header = self._header()
        if set(row) - set(header):
            self._write([*header, *(name for name in row if name not in header)], [*self.read(), row])
            return
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, header, restval="").writerow(row)

    def _header(self) -> list[str]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])

    def _write(self, header: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
        content = io.StringIO(newline="")
        writer = csv.DictWriter(content, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self.path, content.getvalue().encode())


def rank() -> int:
    """Return 0 in the one process that writes, by the variables of torchrun, SLURM and Lightning; else above 0."""
    found = [os.environ.get(name) or "0" for name in _RANKS]
    if not all(value.isdigit() for value in found):
        raise ValueError(must(" or ".join(_RANKS), "whole numbers >= 0", found))
    return max(map(int, found))
