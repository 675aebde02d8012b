"""Number of CPU cores that a process may use: its affinity and the CPU quota of its control groups."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

__all__ = ["affinity", "available", "quota", "usable"]

_MACHINE = Path("/")


def available() -> int:
    """Return the number of cores this process may keep busy, at least 1."""
    return usable(affinity(), _quota_here())


def usable(cores: int, limit: float | None) -> int:
    """Return how many of `cores` can be kept busy under a quota of `limit` cores (None: no quota), at least 1.

    A quota of 1.5 cores counts as one: threads that wait for each other stall while one of them is throttled.
    """
    return cores if limit is None else max(1, min(cores, int(limit)))


def affinity() -> int:
    """Return the number of cores this process may be scheduled on; macOS cannot tell, and all of them count."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota(root: Path = _MACHINE) -> float | None:
    """Return the CPU quota of this process's control groups (Linux, versions 1 and 2) in cores; None without one.

    The smallest quota on the way from the process's own group up counts. `root`: where `proc` and `sys` are.
    """
    limits = [limit for folder in _groups(root) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


@cache
def _quota_here() -> float | None:
    return quota()


def _groups(root: Path) -> Iterator[Path]:
    """Return the folders of the control groups that limit this process's CPU time, each with all its parents."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            mount = root / "sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            joined = root / "sys/fs/cgroup" / controllers
            mount = joined if joined.is_dir() else root / "sys/fs/cgroup/cpu"
        else:
            continue
        # In a container the path may be the host's, with only its end visible, mounted at the top.
        group = PurePosixPath(path.strip("/"))
        inside = [] if ".." in group.parts else [group, *group.parents]
        yield from dict.fromkeys(mount / folder for folder in [*inside, PurePosixPath()])


def _limit(folder: Path) -> float | None:
    """Return the quota of one group in cores; None if it has none."""
    runtime, _, period = _text(folder / "cpu.max").strip().partition(" ")
    if not runtime:
        runtime, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    try:
        cores = int(runtime) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such group
        return None
    return cores if cores > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
