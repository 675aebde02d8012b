"""Streaming: frames whose unit differs from offline, against delay and context; real-time factors.

python benchmarks/streaming.py agreement [--zoo demo] [AUDIO ...]    without audio, sentences by flite
python benchmarks/streaming.py speed [--zoo demo] [AUDIO ...]
python benchmarks/streaming.py web                                   the page in Chromium: ready, live units, lambda
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import timed, write
from slmcore import audio
from slmzoo import hub
from slmzoo.figures import dress, save
from slmzoo.pipeline import Pipeline
from slmzoo.recipes.speech.everyday import PLAIN
from slmzoo.recipes.speech.flite import speak
from slmzoo.streaming import FrameStream, Timing

RATE = 16000
SENTENCES = 12
CONTEXTS = (0.5, 1.0, 2.0, 4.0)
AHEADS = (0.0, 0.04, 0.08, 0.16, 0.3, 0.6)
WAITS = (0.0, 0.02, 0.04, 0.1, 0.2)
USUAL = Timing()
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
FIGURE = Path(__file__).parents[1] / "docs" / "streaming.png"


def utterances(paths: list[str]) -> list[Tensor]:
    """Mono speech at 16 kHz, (1, samples) each: the files, or sentences of everyday English."""
    if paths:
        return [audio.resample(*audio.load(file), RATE) for file in audio.find(paths)]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.wav" for i in range(SENTENCES)]
        for file, sentence in zip(files, PLAIN[:SENTENCES], strict=True):
            speak(sentence, file)
        return [audio.load(file)[0] for file in files]


def features(pipeline: Pipeline, wav: Tensor, timing: Timing) -> Tensor:
    """Features of an utterance in the windows of a stream: (frames, dim)."""
    stream = FrameStream(pipeline.encoder, RATE, pipeline.operating_point.layer, timing)
    return torch.cat([*stream.push(wav), *stream.flush()])


def units(pipeline: Pipeline, features: Tensor, wait: float | None) -> Tensor:
    """Framewise units of features (frames, dim) in a search with a bounded delay in seconds."""
    search = pipeline.quantizer.stream(None if wait is None else round(wait * pipeline.frame_rate))
    return torch.cat([search.push(features), search.flush()])


def agreement(pipeline: Pipeline, wavs: list[Tensor]) -> list[dict[str, Any]]:
    """Share of frames with the offline unit, for each context and look-ahead, and at the usual ones for each wait."""
    offline = torch.cat([pipeline.units(wav, RATE).framewise() for wav in wavs])
    rows = []
    for context in CONTEXTS:
        for ahead in AHEADS:
            timing = Timing(context=context, ahead=ahead, step=USUAL.step)
            features_of_wavs = [features(pipeline, wav, timing) for wav in wavs]
            usual = (context, ahead) == (USUAL.context, USUAL.ahead)
            for wait in (*WAITS, None) if usual or context == USUAL.context else (None,):
                same = torch.cat([units(pipeline, each, wait) for each in features_of_wavs]) == offline
                rows.append({"context": context, "ahead": ahead, "wait": wait, "same": float(same.double().mean())})
    return rows


def real_time(pipeline: Pipeline, wavs: list[Tensor]) -> dict[str, float]:
    """Real-time factor of streaming, chunk by chunk of 20 ms, and the longest time of a chunk, in seconds."""
    wav = torch.cat(wavs, 1)[:, : 30 * RATE]
    stream = pipeline.stream(RATE)
    stream.push(wav[:, : 4 * RATE])
    stream.flush()
    spent = [timed(lambda part=part: stream.push(part)) for part in wav.split(RATE // 50, 1)]
    rest = timed(stream.flush)
    busy = [each for each in spent if each > 0.001]
    return {
        "seconds": wav.shape[1] / RATE,
        "real_time_factor": (sum(spent) + rest) * RATE / wav.shape[1],
        "window_median_seconds": statistics.median(busy),
        "window_longest_seconds": max(busy),
    }


def sound(pipeline: Pipeline, wavs: list[Tensor]) -> dict[str, float | None]:
    """Seconds from the first sample spoken to the first sample of its resynthesis, and the voice's real-time factor."""
    unit_stream, voice = pipeline.stream(RATE), pipeline.speech_stream(seconds=0.6)
    wav = torch.cat(wavs, 1)[:, : 8 * RATE]
    at, clock, made, first = 0, 0.0, 0.0, None
    began = time.perf_counter()
    for chunk in wav.split(RATE // 50, 1):
        at += chunk.shape[1]
        clock = max(clock, at / RATE)  # the speaker is not faster than time
        before = time.perf_counter()
        spoken = voice.push(unit_stream.push(chunk))
        clock += time.perf_counter() - before
        made += sum(each.seconds for each in spoken)
        first = clock if spoken and first is None else first
    spent = time.perf_counter() - began
    return {"time_to_first_sound_seconds": first, "real_time_factor_with_speech": spent * RATE / at}


def figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Agreement against the look-ahead for each context, and against the wait for some look-aheads."""
    from matplotlib.figure import Figure

    picture = Figure(figsize=(9, 3.4), dpi=110)
    left, right = picture.subplots(1, 2, sharey=True)
    for colour, context in zip(COLOURS, CONTEXTS, strict=False):
        line = [row for row in rows if row["context"] == context and row["wait"] is None]
        left.plot(
            [1000 * r["ahead"] for r in line], [100 * r["same"] for r in line],
            color=colour, marker="o", ms=4, label=f"{context:g} s",
        )  # fmt: skip
    for colour, ahead in zip(COLOURS, (0.04, 0.08, 0.16, 0.3, 0.6), strict=True):
        line = [row for row in rows if (row["context"], row["ahead"]) == (USUAL.context, ahead)]
        line = [row for row in line if row["wait"] is not None]
        right.plot(
            [1000 * r["wait"] for r in line], [100 * r["same"] for r in line],
            color=colour, marker="o", ms=4, label=f"{1000 * ahead:g} ms",
        )  # fmt: skip
    left.set(xlabel="speech after a frame (ms)", ylabel="frames with the offline unit (%)")
    right.set(xlabel="longest wait of the search (ms)")
    for panel, title in ((left, "context before, unbounded search"), (right, "speech after a frame, 2 s before")):
        dress(panel).tick_params(labelbottom=True)
        panel.legend(title=title, fontsize=7.5, title_fontsize=7.5, frameon=False, loc="lower right")
    picture.tight_layout()
    save(picture, path)


def about(zoo: str, wavs: list[Tensor]) -> dict[str, Any]:
    """Description of the measurement."""
    timing = {name: getattr(USUAL, name) for name in ("step", "ahead", "context", "wait")}
    seconds = sum(wav.shape[1] for wav in wavs) / RATE
    return {"zoo": zoo, "utterances": len(wavs), "seconds": seconds, "timing": timing}


def main(what: str, zoo: str, paths: list[str]) -> None:
    """Measure, and write the results; draw the figure of agreement."""
    wavs = utterances(paths)
    if what == "web":
        from benchmarks.streaming_page import measure

        write("streaming_page", {"zoo": zoo, **measure(zoo, wavs, RATE)})
        return
    pipeline = hub.pipeline(zoo=zoo, needs=("synthesizer",))
    if what == "speed":
        write("streaming_speed", {**about(zoo, wavs), **real_time(pipeline, wavs), **sound(pipeline, wavs)})
        return
    rows = agreement(pipeline, wavs)
    write("streaming_agreement", {**about(zoo, wavs), "agreement": rows})
    figure(rows, FIGURE)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("agreement", "speed", "web"))
    parser.add_argument("audio", nargs="*")
    parser.add_argument("--zoo", default="demo")
    arguments = parser.parse_args()
    main(arguments.what, arguments.zoo, arguments.audio)
