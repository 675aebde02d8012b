"""Corpus jobs from start or resumption to indices, with progress."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from slmcore.files import places
from slmcore.units import OperatingPoint
from slmzoo.corpus import plain
from slmzoo.corpus.job import Job, begin, begun, locked
from slmzoo.corpus.models import Coder
from slmzoo.corpus.plain import Report
from slmzoo.corpus.plan import Planned

__all__ = ["SECONDS_BETWEEN_LINES", "Engine", "Outcome", "encode_corpus"]

log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 60.0
"""Shortest interval between lines of progress in the log."""
Engine = Callable[[Job, Coder, Sequence[Planned]], Iterator[Report]]
"""Engine that makes shards and reports each finished one."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outcome of a corpus job."""

    points: list[dict[str, Any]]
    """For each operating point: out, records, units, hours, units_per_second, left_out, zoo, k, lmbda, num_neighbors;
    of codes: out, records, frames, hours, left_out, zoo, codebooks, codebook_size, frame_rate, bits_per_second.

    `left_out`: how many files of the inputs are no audio, by ending.
    """
    failed: int
    """Number of failed items, in this run or earlier."""
    made: int
    """Number of shards made in this run."""


def encode_corpus(
    out: str,
    corpus: Sequence[str],
    models: Coder,
    *,
    engine: Engine = plain.run,
    rate: float | None = None,
    shard_seconds: float | None = None,
    retry_failed: bool = False,
    update: bool = False,
) -> Outcome:
    """Encode a corpus into shards in `out`, a folder or URL; the same call resumes an interrupted job.

    `rate` is only recorded; `shard_seconds` is speech per shard, None: by the corpus's size. `update` applies
    additions, removals and replacements: new utterances go to new shards, shards with removed or replaced ones are
    encoded again, and all others stay. Raises ValueError for a folder with other content, OSError if the inputs are
    gone, the disk is full or a worker died.
    """
    out = places.plain(out)
    with locked(out):
        wish = {"shard_seconds": shard_seconds, "rate": rate, "batch_seconds": models.settings.batch_seconds}
        known = begun(out).get("provenance", ())
        job = begin(out, corpus, models.provenance(known), update=update, **wish)
        pending = job.pending(retry_failed)
        if not pending:
            log.info("%s is finished: all %d shards are there.", out, len(job.shards))
        else:
            _follow(engine(job, models, pending), sum(shard.seconds for shard in pending))
        indices = job.finish()
        points = zip(job.target.folders, indices, strict=True)
        return Outcome(
            points=[_summary(folder, index, job.left_out) for folder, index in points],
            failed=job.failed(),
            made=len(pending),
        )


def _follow(reports: Iterable[Report], seconds: float) -> None:
    """Show hours done, speed relative to real time, and estimated time left.

    A bar on a terminal, else a line in the log at most once a minute.
    """
    shape = "{percentage:3.0f}% {n:.2f} of about {total:.2f} h [{elapsed}, {remaining} left{postfix}]"
    with tqdm(total=seconds / 3600, bar_format=shape, disable=None) as bar:
        began = logged = time.monotonic()
        encoded, done, failed = 0.0, 0.0, 0
        for report in reports:
            encoded, done, failed = encoded + report.seconds, done + report.probable, failed + report.failed
            now = time.monotonic()
            state = f"{encoded / (now - began):.0f} x real time, {failed} failed"
            bar.set_postfix_str(state, refresh=False)
            bar.update(report.probable / 3600)
            if bar.disable and now - logged >= SECONDS_BETWEEN_LINES:
                left = tqdm.format_interval((now - began) * (seconds - done) / done if done else 0)
                log.info("%.2f of about %.2f h, %s, %s left", done / 3600, seconds / 3600, state, left)
                logged = now


def _summary(folder: str, index: dict[str, Any], left_out: dict[str, int]) -> dict[str, Any]:
    if "frames" in index:
        return _summary_of_codes(folder, index, left_out)
    point = OperatingPoint.from_json(index["provenance"]["operating_point"])
    return {
        "out": folder,
        "records": index["records"],
        "units": index["units"],
        "hours": round(index["seconds"] / 3600, 4),
        "units_per_second": round(index["units"] / index["seconds"], 3) if index["seconds"] else None,
        "left_out": left_out,
        **{name: getattr(point, name) for name in ("zoo", "k", "lmbda", "num_neighbors")},
    }


def _summary_of_codes(folder: str, index: dict[str, Any], left_out: dict[str, int]) -> dict[str, Any]:
    provenance = index["provenance"]
    sizes, rate = json.loads(provenance["codebook_sizes"]), float(provenance["frame_rate"])
    return {
        "out": folder,
        "records": index["records"],
        "frames": index["frames"],
        "hours": round(index["seconds"] / 3600, 4),
        "left_out": left_out,
        "zoo": provenance["zoo"],
        "codebooks": len(sizes),
        "codebook_size": sizes[0],
        "frame_rate": rate,
        "bits_per_second": round(rate * sum(map(math.log2, sizes)), 3),
    }
