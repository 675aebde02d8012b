"""Engine for one machine: a process per GPU, or several on a CPU, with overlapping stages.

While a shard is encoded, the next one is read and the previous one written. Results depend on the shard alone: on a CPU
a process uses one thread, however many processes there are.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import torch

from slmcore import cores
from slmcore.threads import exactly_one
from slmzoo.corpus import plan
from slmzoo.corpus.code_models import coder_of
from slmzoo.corpus.job import Job
from slmzoo.corpus.models import Coder, Settings
from slmzoo.corpus.plan import Planned
from slmzoo.corpus.stages import Decoded, Encoded, encode, read, write

__all__ = ["Report", "devices_for", "one_thread", "run"]

Value = TypeVar("Value")
Made = TypeVar("Made")
_SHARDS_THAT_PAY = 4  # to start a process, which loads the models
_SHARDS_IN_A_PROCESS = 3  # one is read, one encoded, one written


@dataclass(frozen=True)
class Report:
    """Report of a finished shard."""

    shard: int
    probable: float
    """Planned speech, seconds."""
    seconds: float
    """Encoded speech, seconds."""
    failed: int
    """Number of failed items."""


def devices_for(device: str, workers: int | None, shards: int) -> list[str]:
    """Return the device of each process: by default all GPUs, or a process per core if there are enough shards."""
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    devices = gpus if device == "cuda" else [device] * cores.available()
    if workers is not None:
        return [devices[i % len(devices)] for i in range(min(workers, max(1, shards)))]
    return devices[: max(1, shards // _SHARDS_THAT_PAY)]


def run(job: Job, models: Coder, shards: Sequence[Planned], workers: int | None = None) -> Iterator[Report]:
    """Make `shards`; yield a report for each once it is on disk. A single worker is this process.

    Raises OSError if the inputs are gone, the disk is full or a process died. Finished shards are kept.
    """
    devices = devices_for(models.settings.device_type, workers, len(shards))
    if len(devices) == 1:
        with one_thread(models.settings):
            yield from _pipelined(job, models, shards)
    else:
        yield from _in_processes(job, [replace(models.settings, device=device) for device in devices], list(shards))


def one_thread(settings: Settings) -> AbstractContextManager[None]:
    """Compute with one thread on a CPU, so that results do not depend on the number of cores."""
    return exactly_one() if settings.device_type == "cpu" else nullcontext()


def _pipelined(job: Job, models: Coder, shards: Iterable[Planned]) -> Iterator[Report]:
    """Read one shard ahead, encode, and write one shard behind."""
    with ThreadPoolExecutor(_readers(models.settings)) as readers, ThreadPoolExecutor(2) as stages:
        read_next = partial(_read_shard, job, models.sample_rate, readers)
        writing: Future[Report] | None = None
        for shard, decoded in _one_ahead(stages, read_next, shards):
            encoded = encode(decoded, models, job.target.provenance)
            if writing is not None:
                yield writing.result()
            writing = stages.submit(_written, job, shard, encoded)
        if writing is not None:
            yield writing.result()


def _one_ahead(pool: Executor, work: Callable[[Value], Made], values: Iterable[Value]) -> Iterator[tuple[Value, Made]]:
    coming: tuple[Value, Future[Made]] | None = None
    for value in values:
        after = value, pool.submit(work, value)
        if coming is not None:
            yield coming[0], coming[1].result()
        coming = after
    if coming is not None:
        yield coming[0], coming[1].result()


def _read_shard(job: Job, sample_rate: int, readers: Executor, shard: Planned) -> Decoded:
    return read(plan.items_of(job.manifest, shard), sample_rate, job.roots, readers)


def _written(job: Job, shard: Planned, encoded: Encoded) -> Report:
    write(encoded, job.target, shard.name)
    return Report(shard.number, shard.seconds, encoded.seconds, encoded.failed)


def _readers(settings: Settings) -> int:
    return 2 if settings.device_type == "cpu" else min(16, max(4, cores.available() // torch.cuda.device_count()))


def _in_processes(job: Job, settings: Sequence[Settings], shards: list[Planned]) -> Iterator[Report]:
    """Distribute shards to processes as they finish, each over its own pipe, so that one that dies blocks no other."""
    context = multiprocessing.get_context("spawn")
    processes: dict[Any, Any] = {}
    try:
        for each in settings:
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs, job, each), daemon=True)
            process.start()
            theirs.close()
            processes[ours] = process
        left = iter(shards)
        for _ in range(_SHARDS_IN_A_PROCESS):
            for connection in processes:
                connection.send(next(left, None))
        yield from _reports(processes, left, len(shards))
    finally:
        for process in processes.values():
            process.terminate()
            process.join()


def _reports(processes: dict[Any, Any], left: Iterator[Planned], wanted: int) -> Iterator[Report]:
    while wanted:
        for connection in wait(list(processes)):
            try:
                report: Report | Exception = connection.recv()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
            except (EOFError, OSError):
                processes[connection].join()
                raise ChildProcessError(_died(processes[connection].exitcode)) from None
            if isinstance(report, Exception):
                raise report
            wanted -= 1
            yield report
            _send(connection, next(left, None))


def _send(connection: Any, shard: Planned | None) -> None:
    with suppress(OSError):  # a process that has ended shows at the next `recv`
        connection.send(shard)


def _died(status: int | None) -> str:
    reason = " (killed, perhaps for lack of memory: try fewer --workers)" if status == -signal.SIGKILL else ""
    return f"A worker process ended with status {status}{reason}. Finished shards are kept; run again to resume."


def _handed_out(connection: Connection) -> Iterator[Planned]:
    """Yield incoming shards until None, ignoring those in the pipe of a killed parent."""
    parent = multiprocessing.parent_process()
    while (shard := connection.recv()) is not None and parent is not None and parent.is_alive():
        yield shard


def _work(connection: Connection, job: Job, settings: Settings) -> None:
    """Run a worker: shards come in until None or the parent's end; reports, and at most one error, go out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        with one_thread(settings):
            models = coder_of(settings)
            for report in _pipelined(job, models, _handed_out(connection)):
                connection.send(report)
        while True:
            connection.recv()  # until the parent ends this process, or has ended itself
    except EOFError:
        pass
    except Exception as error:  # the parent decides what it is
        with suppress(OSError):  # the pipe broke because the parent ended
            connection.send(error)


def _end_with_the_parent() -> None:
    """End this process at once when its parent is gone: nobody waits for the result.

    A half-written shard stays under its temporary name, which the next run removes.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
