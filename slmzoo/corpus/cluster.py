"""Engine for clusters: the stages as operators of Ray Data, with actors that hold the models.

Reading and writing are tasks, encoding is done by a pool of actors. The work of a lost machine is repeated by another.
Inputs and the job's folder must be reachable from all machines: a shared disk, or URLs that fsspec knows; slmzoo must
be installed on them.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch

from slmzoo.corpus import plan
from slmzoo.corpus.code_models import coder_of
from slmzoo.corpus.items import Item
from slmzoo.corpus.job import Job, difference
from slmzoo.corpus.models import Coder, Settings
from slmzoo.corpus.plain import Report, one_thread
from slmzoo.corpus.plan import Planned
from slmzoo.corpus.stages import Decoded, Encoded, Failed, encode, read, write

__all__ = ["run"]

Row = dict[str, Any]
# Shares of a core. An actor computes with one core, but asks for less than half of one: where half of the machines are
# lost, the others can still take all actors, and tasks that wait for a lost actor continue.
_TO_READ, _TO_ENCODE, _TO_WRITE = 0.1, 0.4, 0.05
_READERS = 2
_STOPPED = "stopped"


def run(
    job: Job, models: Coder, shards: Sequence[Planned], workers: int | None = None, address: str | None = None
) -> Iterator[Report]:
    """Make `shards` on the cluster at `address` (None: a local one); yield a report per shard.

    `workers`: encoding actors, by default one per GPU, or per core. Raises OSError as `plain.run` does, and if the
    cluster fails.
    """
    settings = models.settings
    with _cluster(address) as ray:
        gpus = settings.device_type == "cuda"
        if workers is None:
            workers = max(1, int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1)))
        workers = min(workers, len(shards))
        pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2)
        tasks = ray.data.TaskPoolStrategy(size=workers)
        rows = ray.data.from_items([asdict(shard) for shard in shards], override_num_blocks=len(shards))
        decoded = rows.map(
            partial(_guarded, partial(_read, job=job, settings=settings, sample_rate=models.sample_rate)),
            num_cpus=_TO_READ,
            compute=tasks,
        )
        encoded = decoded.map(
            _Encoder,
            fn_constructor_args=(settings, job.target.provenance),
            num_cpus=_TO_ENCODE,
            num_gpus=1 if gpus else 0,
            compute=pool,
        )
        written = encoded.map(partial(_guarded, partial(_write, job=job)), num_cpus=_TO_WRITE, compute=tasks)
        for row in written.iter_rows():
            if _STOPPED in row:
                raise OSError(row[_STOPPED])
            yield Report(**row)


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Connect to Ray, and shut it down if it was started here. Its errors become OSErrors: a retry may succeed."""
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError as error:
        raise ImportError("The engine ray needs Ray Data: pip install 'slmzoo[ray]'.") from error
    ours = not ray.is_initialized()
    if ours:
        ray.init(
            address=address or "local",
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    context = ray.data.DataContext.get_current()
    shown, context.enable_progress_bars = context.enable_progress_bars, False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    try:
        yield ray
    except ray.exceptions.RayError as error:
        message = f"The cluster failed: {str(error).strip()[:500]}. Finished shards are kept; run again to resume."
        raise OSError(message) from error
    finally:
        context.enable_progress_bars = shown
        if ours:
            ray.shutdown()


def _guarded(stage: Callable[[Row], Row], row: Row) -> Row:
    """Error of a stage as a row, passed on by the next stages: Ray keeps only the text of exceptions."""
    if _STOPPED in row:
        return row
    try:
        return stage(row)
    except (OSError, ValueError) as error:
        return {_STOPPED: str(error)}


def _read(row: Row, job: Job, settings: Settings, sample_rate: int) -> Row:
    items = plan.items_of(job.manifest, Planned(**row))
    with one_thread(settings), ThreadPoolExecutor(_READERS) as readers:
        decoded = read(items, sample_rate, job.roots, readers)
    return {
        **row,
        "speech_items": [item.to_json() for item in decoded.items],
        "speech": torch.cat([torch.zeros(1, 0), *decoded.wavs], 1)[0].numpy(),
        "ends": np.cumsum([wav.shape[1] for wav in decoded.wavs], dtype=np.int64),
        "lengths": np.array([n for length in decoded.lengths for n in length], dtype=np.int64),
        "failed": [value for failure in decoded.failed for value in asdict(failure).values()],
    }


class _Encoder:
    """Actor that loads the models once, or reports that they are not those of the job."""

    def __init__(self, settings: Settings, provenance: Sequence[dict[str, str]]) -> None:
        self.models = coder_of(settings)
        self.provenance = provenance
        made = zip(provenance, self.models.provenance(), strict=True)
        self.wrong = "; ".join(filter(None, (difference(*pair) for pair in made)))

    def __call__(self, row: Row) -> Row:
        return _guarded(self.encode, row)

    def encode(self, row: Row) -> Row:
        """Turn a row of `_read` into one for `_write`; a ValueError if the machine has other models than the job."""
        if self.wrong:
            message = f"The machine {platform.node()} has other models than the one that began the job ({self.wrong})."
            raise ValueError(f"{message} Install the same version and files on all machines.")
        # Copies, since Ray's buffers are read-only and results must equal those of the other engine.
        speech = [part.copy() for part in np.split(row.pop("speech"), row.pop("ends"))[:-1]]
        decoded = Decoded(
            items=[Item.from_json(line) for line in row.pop("speech_items")],
            wavs=[torch.from_numpy(wav)[None] for wav in speech],
            lengths=[(int(samples), int(rate)) for samples, rate in np.reshape(row.pop("lengths"), (-1, 2))],
            failed=[Failed(*values) for values in zip(*[iter(row.pop("failed"))] * 3, strict=True)],
        )
        with one_thread(self.models.settings):
            encoded = encode(decoded, self.models, self.provenance)
        return {**row, **asdict(encoded), "speech_seconds": encoded.seconds, "seconds": row["seconds"]}


def _write(row: Row, job: Job) -> Row:
    shard = Planned(**{name: row[name] for name in Planned.__dataclass_fields__})
    encoded = Encoded(list(row["shards"]), row["failures"], row["speech_seconds"])
    write(encoded, job.target, shard.name)
    return asdict(Report(shard.number, shard.seconds, encoded.seconds, encoded.failed))
