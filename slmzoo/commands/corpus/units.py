"""`slmzoo units`: speech to discrete units, as lines or, for whole corpora, as shards."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from slmcore.units import OperatingPoint
from slmzoo import hub, systems
from slmzoo.commands.common import AudioCommand, complain, describe, describe_codes, parse_point
from slmzoo.commands.options.speech import UnitsOptions
from slmzoo.corpus import plain, sources
from slmzoo.corpus.code_models import coder_of
from slmzoo.corpus.items import Item
from slmzoo.corpus.job import begun
from slmzoo.corpus.models import Settings
from slmzoo.corpus.rate import fitted
from slmzoo.corpus.run import Engine, encode_corpus
from slmzoo.pipeline import Pipeline

__all__ = ["UnitsOf"]


@dataclass(frozen=True, kw_only=True)
class UnitsOf(UnitsOptions, AudioCommand):
    """Encoding of speech as discrete units, in lines or in shards."""

    def run(self) -> int:
        """Write the units of each input, or the shards of all."""
        if self.rate is not None and (self.lmbda is not None or self.points):
            raise ValueError("--rate chooses lambda itself: leave out --lmbda and --points.")
        given = [name for name in ("k", "lmbda", "points", "rate") if getattr(self, name) not in (None, [])]
        if self.codes and given:
            raise ValueError(f"--codes are not of an operating point: leave out --{given[0]}.")
        return self._lines() if self.out is None else self._shards(self.out)

    def line(self, row: Mapping[str, Any]) -> str:
        """Return the text of a file's units or codes, or of the shards of all."""
        if "out" in row:
            return _shards_line(row)
        if "codes" in row:
            return _codes_line(row)
        rate = f"{row['units_per_second']:.1f} per second"
        units = textwrap.fill(" ".join(map(str, row["units"])), 96, initial_indent="  ", subsequent_indent="  ")
        return f"{row['file']}: {len(row['units'])} units in {row['seconds']:.2f} s, {rate}\n{units}"

    def _lines(self) -> int:
        usual = UnitsOf(inputs=self.inputs)
        only_shards = ("points", "workers", "shard_minutes", "batch_seconds", "retry_failed", "update", "engine")
        only_shards += ("address",)
        given = [name for name in only_shards if getattr(self, name) != getattr(usual, name)]
        if given:
            raise ValueError(f"--{given[0].replace('_', '-')} is for whole corpora: give --out too.")
        if self.rate is None:
            pipeline = self._pipeline()
        else:
            self.check_inputs()
            files, _ = self._files()
            pipeline = self._fitted([Item(id=str(file), audio=str(file)) for file in files], self.rate)
        if pipeline.quantizer is None:
            return self.for_each(lambda _path, wav, rate: describe_codes(pipeline.codes(wav, rate), self.zoo))
        return self.for_each(lambda _path, wav, rate: describe(pipeline.units(wav, rate)))

    def _shards(self, out: str) -> int:
        if self.points and (self.k is not None or self.lmbda is not None):
            raise ValueError("--points names k and lambda: leave out --k and --lmbda.")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers must be 1 or more, but is {self.workers}.")
        if self.shard_minutes is not None and not self.shard_minutes > 0:
            raise ValueError(f"--shard-minutes must be a number > 0, but is {self.shard_minutes}.")
        logging.getLogger("slmzoo.corpus").setLevel(logging.INFO)  # progress, where there is no terminal
        models = coder_of(self._settings(out))
        outcome = encode_corpus(
            out,
            self.inputs,
            models,
            engine=self._engine(),
            rate=self.rate,
            shard_seconds=None if self.shard_minutes is None else 60 * self.shard_minutes,
            retry_failed=self.retry_failed,
            update=self.update,
        )
        with self.results() as write:
            for point in outcome.points:
                write(point)
        if outcome.failed:
            complain(out, ValueError(f"{outcome.failed} inputs gave no units; {out}/failed.jsonl says why."))
        return 1 if outcome.failed else 0

    def _pipeline(self) -> Pipeline:
        """Load the models of units, or only the codec for codes."""
        if not self.codes:
            return self.pipeline(with_ulm=False, with_speech=False)
        codec: Any = hub.codec(zoo=self.zoo, registry=self.registry, variant=self.variant)
        return Pipeline(codec=codec.to(self.chosen_device(), getattr(torch, self.dtype)))

    def _settings(self, out: str) -> Settings:
        points = tuple(parse_point(text) for text in self.points) or ((self.k, self.lmbda),)
        if self.rate is not None:
            points = ((self.k, self._lmbda_of_job(out, self.rate)),)
        return Settings(
            zoo=self.zoo,
            registry=self.registry,
            variant=self.variant,
            points=points,
            device=self.chosen_device(),
            dtype=self.dtype,
            codes=self.codes or self._has_only_a_codec,
            batch_seconds=self.batch_seconds,
        )

    @property
    def _has_only_a_codec(self) -> bool:
        return systems.of(hub.Source(zoo=self.zoo, registry=self.registry)).quantizer is None

    def _lmbda_of_job(self, out: str, rate: float) -> float | None:
        """Return lambda as fitted at the start of the job, or fit it now."""
        job = begun(out)
        if job.get("rate") == rate:
            return OperatingPoint.from_json(job["provenance"][0]["operating_point"]).lmbda
        point = self._fitted(list(sources.items(self.inputs)), rate).operating_point
        return point.lmbda if point is not None else None

    def _fitted(self, items: list[Item], rate: float) -> Pipeline:
        # Encoder and codebook do not depend on lambda: any will do to load them.
        source: dict[str, Any] = {"zoo": self.zoo, "registry": self.registry, "variant": self.variant}
        options: dict[str, Any] = {"needs": ("quantizer",), "with_ulm": False, "with_speech": False}
        pipeline = hub.pipeline(self.k, 0.0, **options, **source).to(self.chosen_device())
        quantizer: Any = pipeline.quantizer
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


def _shards_line(row: Mapping[str, Any]) -> str:
    """Return the text of the shards of an operating point, or of codes."""
    if "frames" in row:
        rate = f", {row['bits_per_second']:g} bits per second"
        what = f"{row['frames']} frames of {row['codebooks']} codes"
    else:
        rate = f", {row['units_per_second']:.1f} per second" if row["units_per_second"] else ""
        what = f"{row['units']} units"
    made = f"{what} of {row['records']} recordings, {row['hours']:.3g} h{rate}"
    left_out = ", ".join(f"{count} {ending}" for ending, count in row["left_out"].items())
    return f"{row['out']}: {made}" + (f"; not audio, left out: {left_out}" if left_out else "")


def _codes_line(row: Mapping[str, Any]) -> str:
    """Return the text of a file's codes, a paragraph per codebook."""
    levels = row["codes"]
    about = f"{len(levels[0])} frames of {len(levels)} codes in {row['seconds']:.2f} s"
    lines = [f"{row['file']}: {about}, {row['bits_per_second']:g} bits per second"]
    for level, codes in enumerate(levels, 1):
        text = f"{level}: " + " ".join(map(str, codes))
        lines.append(textwrap.fill(text, 96, initial_indent="  ", subsequent_indent="     "))
    return "\n".join(lines)
