"""`slmzoo units`: speech to discrete units, as lines or, for whole corpora, as shards."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from simple_parsing import field

from slmcore.units import OperatingPoint
from slmzoo import hub
from slmzoo.commands.common import AudioCommand, complain, describe, parse_point
from slmzoo.corpus import plain, sources
from slmzoo.corpus.items import Item
from slmzoo.corpus.job import begun
from slmzoo.corpus.models import Models, Settings
from slmzoo.corpus.rate import fitted
from slmzoo.corpus.run import Engine, encode_corpus
from slmzoo.pipeline import Pipeline

__all__ = ["UnitsOf"]


@dataclass(frozen=True, kw_only=True)
class UnitsOf(AudioCommand):
    """Speech to discrete units with durations.

    A line holds: file, units, durations (frames), frame_rate (Hz), seconds, units_per_second, zoo, k, lmbda,
    num_neighbors.

    With --out the units go to Parquet shards, and a line for each operating point holds: out, records, units, hours,
    units_per_second, zoo, k, lmbda, num_neighbors. The same command goes on where it was interrupted. Inputs may then
    also be fairseq manifests (.tsv), .csv files with a column `path`, WebDataset tars, Lhotse recordings or cuts
    (.jsonl, .jsonl.gz), huggingface:NAME[:CONFIG]:SPLIT, and URLs that fsspec knows.
    """

    inputs: list[str] = field(positional=True, nargs="+", metavar="AUDIO")
    """Audio files, folders or glob patterns; with --out also manifests, tars, datasets and URLs."""
    rate: float | None = None
    """Units a second that are wanted, in place of --lmbda: lambda is fitted to a sample of the inputs."""
    out: str | None = None
    """Folder or fsspec URL for shards."""
    points: list[str] = field(default_factory=list)
    """With --out: several operating points in one pass, as k:lambda, in place of --k and --lmbda; a folder for each."""
    workers: int | None = None
    """With --out: processes; by default one for each GPU, or for each core."""
    shard_minutes: float | None = None
    """With --out: speech in a shard, which is all that a crash can cost a worker; by default 2 to 60."""
    batch_seconds: float | None = None
    """With --out: most audio of a batch, padding included; by default 8 on a CPU and 960 on a GPU."""
    retry_failed: bool = False
    """With --out: try again what failed in an earlier run."""
    engine: Literal["plain", "ray"] = "plain"
    """With --out: processes on this machine, or Ray Data on a cluster."""
    address: str | None = None
    """With --engine ray: address of the cluster; by default one is started on this machine."""

    def run(self) -> int:
        """Write the units of each input, or the shards of all."""
        if self.rate is not None and (self.lmbda is not None or self.points):
            raise ValueError("--rate chooses lambda itself: leave out --lmbda and --points.")
        return self._lines() if self.out is None else self._shards(self.out)

    def _lines(self) -> int:
        usual = UnitsOf(inputs=self.inputs)
        only_shards = ("points", "workers", "shard_minutes", "batch_seconds", "retry_failed", "engine", "address")
        given = [name for name in only_shards if getattr(self, name) != getattr(usual, name)]
        if given:
            raise ValueError(f"--{given[0].replace('_', '-')} is for whole corpora: give --out too.")
        if self.rate is None:
            pipeline = self.pipeline(with_ulm=False, with_speech=False)
        else:
            files, _ = self._files()
            pipeline = self._fitted([Item(id=str(file), audio=str(file)) for file in files], self.rate)
        return self.for_each(lambda _path, wav, rate: describe(pipeline.units(wav, rate)))

    def _shards(self, out: str) -> int:
        if self.points and (self.k is not None or self.lmbda is not None):
            raise ValueError("--points names k and lambda: leave out --k and --lmbda.")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers must be 1 or more, but is {self.workers}.")
        if self.shard_minutes is not None and not self.shard_minutes > 0:
            raise ValueError(f"--shard-minutes must be a number > 0, but is {self.shard_minutes}.")
        logging.getLogger("slmzoo.corpus").setLevel(logging.INFO)  # progress, where there is no terminal
        models = Models(self._settings(out))
        outcome = encode_corpus(
            out,
            self.inputs,
            models,
            engine=self._engine(),
            rate=self.rate,
            shard_seconds=None if self.shard_minutes is None else 60 * self.shard_minutes,
            retry_failed=self.retry_failed,
        )
        with self.results() as write:
            for point in outcome.points:
                write(point)
        if outcome.failed:
            complain(out, ValueError(f"{outcome.failed} inputs gave no units; {out}/failed.jsonl says why."))
        return 1 if outcome.failed else 0

    def _settings(self, out: str) -> Settings:
        points = tuple(parse_point(text) for text in self.points) or ((self.k, self.lmbda),)
        if self.rate is not None:
            points = ((self.k, self._lmbda_of_job(out, self.rate)),)
        return Settings(
            zoo=self.zoo,
            registry=self.registry,
            points=points,
            device=self.chosen_device(),
            dtype=self.dtype,
            batch_seconds=self.batch_seconds,
        )

    def _lmbda_of_job(self, out: str, rate: float) -> float | None:
        """Lambda as it was fitted when the job began, or fitted now."""
        job = begun(out)
        if job.get("rate") == rate:
            return OperatingPoint.from_json(job["provenance"][0]["operating_point"]).lmbda
        return self._fitted(list(sources.items(self.inputs)), rate).quantizer.lmbda

    def _fitted(self, items: list[Item], rate: float) -> Pipeline:
        # Lambda changes neither the encoder nor the codebook: any will do to load them.
        source = {"zoo": self.zoo, "registry": self.registry}
        pipeline = hub.pipeline(self.k, 0.0, with_ulm=False, with_speech=False, **source).to(self.chosen_device())
        quantizer = pipeline.quantizer
        quantizer.lmbda = fitted(items, pipeline, rate)
        point = quantizer.operating_point or OperatingPoint(zoo=self.zoo)
        quantizer.operating_point = replace(point, lmbda=quantizer.lmbda)
        return pipeline

    def _engine(self) -> Engine:
        if self.engine == "plain":
            if self.address is not None:
                raise ValueError("--address is for --engine ray.")
            return partial(plain.run, workers=self.workers)
        from slmzoo.corpus import cluster

        return partial(cluster.run, workers=self.workers, address=self.address)
