"""Corpora to units: WavLM alone, half precision, a batch job and Ray against the models alone, and the cost of stages.

python benchmarks/encode.py [wavlm] [half] [batch] [batch-large] [ray] [ray-large] [cost] [--zoo demo] [--quick]
python benchmarks/encode.py half --zoo dp-slm --speech FOLDER      # with the published weights

Without names all rows are measured; others are kept if zoo and machine are the same. --quick rehearses on little speech
and writes no results. Models run on CUDA where available.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import wavlm
from benchmarks.common import interleaved, machine, timed, write, written
from dpdp import sweep
from slmcore import audio
from slmcore.files.checkpoint import save
from slmcore.files.zoofile import add_row
from slmcore.units import OperatingPoint
from slmzoo.corpus import cluster, plain
from slmzoo.corpus.job import Job
from slmzoo.corpus.models import Models, Settings
from slmzoo.corpus.plain import Report
from slmzoo.corpus.run import Engine, encode_corpus
from wavlm_codebooks import Codebook

SPEECH = Path(__file__).parents[1] / "examples" / "sample.wav"
RATE = 16_000
LARGE_K = 500


@dataclass(frozen=True, kw_only=True)
class Load:
    """Amounts of speech and repetitions."""

    utterances: int = 200
    shortest: float = 2.0
    longest: float = 20.0
    lengths: Sequence[float] = (2.0, 5.0, 10.0, 20.0, 30.0)
    """Seconds of single utterances."""
    speech: str = str(SPEECH)
    """Files of the row on half precision."""
    runs: int = 5
    shard_seconds: float = 600.0
    times: int = 6
    """Repetitions of the utterances where engines are compared, which takes many shards."""


QUICK = Load(utterances=16, longest=6.0, lengths=(2.0, 5.0), runs=1, shard_seconds=10.0, times=1)


def speech(seconds: float, start: float = 0.0) -> Tensor:
    """Speech (1, samples) at 16 kHz: the sample, repeated."""
    wav, sr = audio.load(SPEECH)
    wav = audio.resample(wav, sr, RATE)
    first, length = round(start * RATE) % wav.shape[1], round(seconds * RATE)
    return wav.repeat(1, length // wav.shape[1] + 2)[:, first : first + length]


def corpus(folder: Path, load: Load) -> list[Path]:
    """Utterances of lengths drawn evenly between the shortest and the longest, as FLAC files."""
    import soundfile

    chance = random.Random(0)
    files = []
    for i in range(load.utterances):
        seconds = chance.uniform(load.shortest, load.longest)
        files.append(folder / f"{i:04d}.flac")
        soundfile.write(files[-1], speech(seconds, chance.uniform(0, 3))[0].numpy(), RATE)
    return files


def batch_job(models: Models, load: Load) -> dict[str, Any]:
    """Frames per second of a whole job in one process, and of the models alone.

    The best single length has the fewest frames in attention, or the fewest calls; the same utterances without a job
    give the cost of decoding, batching and writing.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        files = corpus(folder, load)
        wavs = [audio.load(file)[0] for file in files]
        frames = sum(models.encoder.num_frames(wav.shape[1]) for wav in wavs)
        outs = iter(range(1000))
        cases: dict[str, Callable[[], object]] = {
            f"one length, {seconds:g} s": partial(models.units, [speech(seconds)]) for seconds in load.lengths
        }
        cases["job"] = lambda: job(Path(name) / str(next(outs)), folder, models, load, 1)
        cases["same utterances without a job"] = lambda: [models.units([wav]) for wav in wavs]
        with plain.one_thread(models.settings):
            taken = interleaved(cases, load.runs)
    whole = {case: frames / taken[case] for case in ("job", "same utterances without a job")}
    single = {
        case: models.encoder.num_frames(round(seconds * RATE)) / taken[case]
        for case, seconds in zip(cases, load.lengths, strict=False)
    }
    return {
        "utterances": load.utterances,
        "seconds_of_speech": round(sum(wav.shape[1] for wav in wavs) / RATE, 1),
        "frames_a_second": {case: round(rate) for case, rate in {**single, **whole}.items()},
        "job_over_best_single_length": round(whole["job"] / max(single.values()), 3),
        "job_over_same_utterances_without_a_job": round(whole["job"] / whole["same utterances without a job"], 3),
    }


@contextmanager
def large(models: Models) -> Iterator[Models]:
    """WavLM large with random weights, to layer 11, and 500 codes, as a zoo on disk for all processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encoder = wavlm.ours(torch.float32, "cpu")
        save(folder / "wavlm.safetensors", encoder.checkpoint({}), torch.float16)
        [features] = encoder.features_batch([speech(LARGE_K / encoder.frame_rate + 1)], RATE, wavlm.LAYER)
        codebook = Codebook(features[:LARGE_K].clone(), OperatingPoint(zoo="large", layer=wavlm.LAYER, k=LARGE_K))
        save(folder / "codebook.safetensors", codebook.checkpoint({}))
        for row in ({"kind": "wavlm"}, {"kind": "codebook", "k": LARGE_K, "layer": wavlm.LAYER}):
            add_row(folder / "zoo.json", "large", {**row, "file": f"{row['kind']}.safetensors"})
        there = {"zoo": "large", "registry": str(folder / "zoo.json"), "points": ((LARGE_K, 1.0),)}
        yield Models(replace(models.settings, **there))


def batch_job_large(models: Models, load: Load) -> dict[str, Any]:
    """The same by WavLM large, compared with which files cost next to nothing: on fewer utterances, once."""
    with large(models) as others:
        return batch_job(others, replace(load, runs=1, utterances=load.utterances * 3 // 20))


def half_precision(models: Models, load: Load) -> dict[str, Any]:
    """Share of frames that keep their nearest code, and their unit under DPDP, with the encoder in half precision.

    On the files of `--speech`; without it, on the sample.
    """
    wavs = [audio.resample(*audio.load(file), RATE) for file in audio.find(load.speech)]
    kept: dict[str, Any] = {"seconds_of_speech": round(sum(wav.shape[1] for wav in wavs) / RATE, 1)}
    exact = _codes(models, wavs)
    for dtype in ("bfloat16", "float16"):
        rounded = _codes(Models(replace(models.settings, dtype=dtype)), wavs)
        same = {name: torch.cat(codes) == torch.cat(rounded[name]) for name, codes in exact.items()}
        kept[dtype] = {name: round(float(x.double().mean()), 5) for name, x in same.items()}
    return kept


def _codes(models: Models, wavs: Sequence[Tensor]) -> dict[str, list[Tensor]]:
    """Return the nearest code and the unit of each frame, for each wav."""
    found: dict[str, list[Tensor]] = {"nearest_code": [], "unit": []}
    quantizer = models.quantizers[0]
    for wav in wavs:
        [features] = models.features([wav])
        found["nearest_code"].append(torch.cdist(features, quantizer.codebook).argmin(1).cpu())
        found["unit"].append(quantizer(features)[1].cpu())
    return found


def wavlm_large(models: Models, load: Load) -> dict[str, Any]:
    """WavLM large compared with other implementations, without the zoo."""
    if models.settings.device_type == "cuda":
        return wavlm.on_gpu(2.0 if load is QUICK else 15.0, load.runs)
    return wavlm.on_cpu(2.0 if load is QUICK else 30.0, load.runs)


def job(out: Path, folder: Path, models: Models, load: Load, workers: int, engine: Any = plain.run) -> None:
    """One job from the beginning to the end."""
    run = partial(engine, workers=workers)
    encode_corpus(str(out), [str(folder)], models, engine=run, shard_seconds=load.shard_seconds)


def ray_engine(models: Models, load: Load) -> dict[str, Any]:
    """Real-time factors of both engines with 1 and 2 workers on this machine, once all workers are running.

    The time to start processes and load models, once per job, is reported separately.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "in"
        folder.mkdir()
        corpus(folder, replace(load, utterances=load.utterances * load.times))
        for workers in (1, 2):
            speeds: dict[str, list[float]] = {"plain": [], "ray": []}
            for turn in range(max(1, load.runs // 3)):
                for label, engine in (("plain", plain.run), ("ray", cluster.run)):
                    watch = Watch(partial(engine, workers=workers))
                    out = Path(name) / f"{label}-{workers}-{turn}"
                    encode_corpus(
                        str(out), [str(folder)], models, engine=watch.engine, shard_seconds=load.shard_seconds
                    )
                    speeds[label].append(watch.speed())
                    found[f"{label}, {workers} workers: seconds to the first shard"] = round(watch.times[0], 2)
            medians = {label: sorted(values)[len(values) // 2] for label, values in speeds.items()}
            found |= {f"{label}, {workers} workers: times real time": round(v, 1) for label, v in medians.items()}
            found[f"overhead of ray, {workers} workers"] = round(medians["plain"] / medians["ray"] - 1, 3)
    return found


class Watch:
    """An engine whose reports are timed."""

    def __init__(self, engine: Engine) -> None:
        self.wrapped = engine
        self.times: list[float] = []
        self.seconds_of_audio: list[float] = []

    def engine(self, work: Job, models: Models, planned: Sequence[Any]) -> Iterator[Report]:
        """Forward reports."""
        began = time.perf_counter()
        for report in self.wrapped(work, models, planned):
            self.times.append(time.perf_counter() - began)
            self.seconds_of_audio.append(report.seconds)
            yield report

    def speed(self) -> float:
        """Seconds of speech per second over the middle half of the shards.

        Workers start one after another, and some run out of work at the end.
        """
        first, last = len(self.times) // 4, len(self.times) * 3 // 4
        return sum(self.seconds_of_audio[first + 1 : last + 1]) / (self.times[last] - self.times[first])


def ray_engine_large(models: Models, load: Load) -> dict[str, Any]:
    """The same by WavLM large, of fewer utterances in small shards."""
    with large(models) as others:
        few = {"utterances": load.utterances * 3 // 10, "times": 1, "shard_seconds": load.shard_seconds / 40}
        return ray_engine(others, replace(load, **few))


def cost_model(models: Models, load: Load) -> dict[str, Any]:
    """Seconds of each stage per second of speech, on one core or GPU, and the fit a + b T of encoding T seconds."""
    with plain.one_thread(models.settings), tempfile.TemporaryDirectory() as name:
        encode = interleaved({f"{s:g}": partial(models.features, [speech(s)]) for s in load.lengths}, load.runs)
        lengths = torch.tensor([float(s) for s in encode], dtype=torch.float64)
        each = torch.tensor(list(encode.values()), dtype=torch.float64) / lengths
        fit = torch.linalg.lstsq(torch.stack([torch.ones_like(lengths), lengths], 1), each[:, None]).solution[:, 0]
        return {
            "encode_per_second_of_speech": {s: round(t / float(s), 6) for s, t in encode.items()},
            "encode_fit_per_second_of_speech": {"constant": float(fit[0]), "times_length": float(fit[1])},
            "read_per_second_of_speech": reading(Path(name), load),
            "quantise_per_second_of_speech": quantising(models, load),
        }


def reading(folder: Path, load: Load) -> dict[str, float]:
    """Decoding FLAC, with and without resampling."""
    import soundfile

    cases: dict[str, Callable[[], object]] = {}
    for rate in (16_000, 44_100):
        file = folder / f"{rate}.flac"
        soundfile.write(file, audio.resample(speech(10), RATE, rate)[0].numpy(), rate)
        cases[f"{rate} Hz"] = partial(_read, file)
    return {case: round(seconds / 10, 7) for case, seconds in interleaved(cases, load.runs).items()}


def _read(file: Path) -> Tensor:
    wav, sr = audio.load(file)
    return audio.resample(wav, sr, RATE)


def quantising(models: Models, load: Load) -> dict[str, float]:
    """Distances and search at codebooks of several sizes, and several lambdas at once."""
    features = models.features([speech(10)])
    point = models.points[0]
    cases: dict[str, Callable[[], object]] = {}
    for k in (100, 500, 2000):
        codes = features[0][torch.randint(len(features[0]), (k,), generator=torch.Generator().manual_seed(0))]
        codes = codes + 0.01 * torch.randn(codes.shape, generator=torch.Generator().manual_seed(1)).to(codes.device)
        for lambdas in (1, 5):
            wanted = [float(point.lmbda or 0) * (i + 1) for i in range(lambdas)]
            cases[f"k={k}, {lambdas} lambdas"] = partial(sweep, features, codes, wanted, max(1, k // 20))
    return {case: round(seconds / 10, 7) for case, seconds in interleaved(cases, load.runs).items()}


ROWS: dict[str, Callable[[Models, Load], dict[str, Any]]] = {
    "wavlm": wavlm_large,
    "half": half_precision,
    "batch": batch_job,
    "batch-large": batch_job_large,
    "ray": ray_engine,
    "ray-large": ray_engine_large,
    "cost": cost_model,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--zoo", default="demo")
    parser.add_argument("--speech", default=str(SPEECH), help="file, folder or pattern, for the row `half`")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    wrong = set(arguments.rows) - set(ROWS)
    if wrong:
        parser.error(f"no such row: {', '.join(sorted(wrong))}")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    models = Models(Settings(zoo=arguments.zoo, device=device))
    load = QUICK if arguments.quick else Load(speech=arguments.speech)
    earlier = written("encode")
    results: dict[str, Any] = earlier if earlier.get("zoo") == arguments.zoo else {"zoo": arguments.zoo}
    for row in arguments.rows or ROWS:
        results[row] = {}
        seconds = timed(lambda row=row: results[row].update(ROWS[row](models, load)))
        print(f"{row}: {results[row]}, in {seconds:.0f} s", flush=True)
    if arguments.quick:
        print(machine())
    else:
        write("encode", results)


if __name__ == "__main__":
    main()
