"""SoundStream on a CPU: real-time factors whole and streamed, against PyPI encodec's SEANet, and a training step.

    python benchmarks/soundstream.py            # writes results/soundstream.json
    python benchmarks/soundstream.py --quick    # little speech, writes nothing

Published size (24 kHz, 32 filters, two LSTMs), the same causal, and the demo's (16 kHz); weights are random, which does
not affect speed. Streams have chunks of 80 ms, encoded and decoded one by one. The plain loop is a hand-written
training step of the same model and losses, without the project's checks and figures.

All on one thread and in CPU time, so that other load has little effect.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import interleaved, write
from slmcore import audio
from slmcore.layers.seanet import SEANetConfig
from slmzoo.recipes.demo.soundstream import settings as demo_settings
from slmzoo.training.data.segments import segments_of
from slmzoo.training.loop.fit import fit
from slmzoo.training.loop.run import Run
from slmzoo.training.loop.task import StepContext, generator
from slmzoo.training.tasks.soundstream import SoundStreamSettings, SoundStreamTask
from soundstream import SoundStream, SoundStreamConfig

CHUNK = 0.08
"""Seconds."""
PUBLISHED = SEANetConfig(strides=(2, 4, 5, 8), n_filters=32, dimension=128)


def models() -> dict[str, SoundStream]:
    """The codecs, with random weights."""
    torch.manual_seed(0)
    plain = SoundStreamConfig(sample_rate=24_000, seanet=PUBLISHED)
    causal = replace(plain, seanet=replace(PUBLISHED, causal=True, pad_mode="constant"))
    demo = demo_settings(Path(), Path()).sizes
    return {name: SoundStream(c).eval() for name, c in (("published", plain), ("causal", causal), ("demo", demo))}


def streamed(codec: SoundStream, wav: Tensor) -> None:
    """Encode and decode chunk by chunk."""
    stream = codec.streaming()
    for chunk in wav.split(int(CHUNK * codec.sample_rate), 1):
        stream.decode(stream.encode(chunk))
    stream.decode(stream.flush())


def real_time(seconds: float, runs: int) -> dict[str, float]:
    """Seconds of computing per second of sound."""
    cases: dict[str, Callable[[], object]] = {}
    for name, codec in models().items():
        wav = 0.1 * torch.randn(1, int(seconds * codec.sample_rate))
        codes = codec.encode(wav, codec.sample_rate)
        cases[f"{name}, encode"] = lambda c=codec, w=wav: c.encode(w, c.sample_rate)
        cases[f"{name}, decode"] = lambda c=codec, k=codes: c.decode(k)
        if codec.config.seanet.streamable:
            cases[f"{name}, encode and decode in chunks of 80 ms"] = lambda c=codec, w=wav: streamed(c, w)
    return {
        name: round(taken / seconds, 4) for name, taken in interleaved(cases, runs, clock=time.process_time).items()
    }


def beside_encodec(seconds: float, runs: int) -> dict[str, float]:
    """Encoder and decoder of PyPI encodec 0.1.1 and of this project, of the published size."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message=".*weight_norm.*")
    from encodec.modules import SEANetDecoder, SEANetEncoder

    sizes = {"n_filters": 32, "dimension": 128, "ratios": [8, 5, 4, 2], "lstm": 2}
    theirs = [kind(**sizes, causal=False, norm="weight_norm").eval() for kind in (SEANetEncoder, SEANetDecoder)]
    ours = models()["published"]
    wav, latents = 0.1 * torch.randn(1, int(seconds * 24_000)), torch.randn(1, 128, int(seconds * 75))
    cases: dict[str, Callable[[], object]] = {
        "encodec, encoder": lambda: theirs[0](wav[:, None]),
        "slmzoo, encoder": lambda: ours.encoder(wav),
        "encodec, decoder": lambda: theirs[1](latents),
        "slmzoo, decoder": lambda: ours.decoder(latents),
    }
    with torch.no_grad():
        return {
            name: round(taken / seconds, 4) for name, taken in interleaved(cases, runs, clock=time.process_time).items()
        }


def training(steps: int) -> dict[str, float]:
    """Seconds of a training step of the demo's size, in the loop and by hand, without the one that starts codebooks."""
    folder = Path(tempfile.mkdtemp())
    (folder / "wavs").mkdir()
    for i in range(4):
        audio.write(folder / "wavs" / f"{i}.wav", 0.1 * torch.randn(40_000, generator=generator(i, 0)), 16_000)
    shared = {"teacher": None, "quantizer_dropout": 0.0, "validate_every": None, "log_every": 1, "samples": 1}
    named = {"audio": [str(folder / "wavs")], "validation": [str(folder / "wavs")], "steps": steps + 1, "device": "cpu"}
    chosen = replace(demo_settings(folder, folder), run=folder / "run", save_every=10**9, **shared, **named)
    by_hand = plain_loop(chosen, steps)
    task, clock = task_of(chosen), [0.0]
    usual = task.after_step

    def after_step(step: int) -> None:
        usual(step)
        clock.append(time.process_time())

    task.after_step = after_step
    fit(task, chosen, Run.open(chosen))
    return {"plain loop": round(by_hand, 3), "slmzoo": round((clock[-1] - clock[1]) / steps, 3)}


def task_of(chosen: SoundStreamSettings) -> SoundStreamTask:
    """The task with its data."""
    return SoundStreamTask(chosen, *(segments_of(named, 16_000) for named in (chosen.audio, chosen.validation)))


def plain_loop(chosen: SoundStreamSettings, steps: int) -> float:
    """Seconds of a step by hand."""
    task = task_of(chosen).train()
    optimizer = torch.optim.AdamW(task.codec.parameters(), lr=chosen.lr)
    began = 0.0
    for step in range(steps + 1):
        batch = task.batch_at(step, 0, generator(0, step))
        found = task.loss("codec", batch, StepContext(step, generator(1, step)))
        optimizer.zero_grad()
        found[0].backward()
        nn.utils.clip_grad_norm_(task.codec.parameters(), 1.0)
        optimizer.step()
        task.after_step(step)
        began = began or time.process_time()
    return (time.process_time() - began) / steps


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    seconds, runs, steps = (1.0, 1, 2) if quick else (10.0, 3, 10)
    report = {
        "seconds_of_sound": seconds,
        "real_time_factors": real_time(seconds, runs),
        "beside_encodec": beside_encodec(seconds, runs),
        "seconds_a_training_step": training(steps),
    }
    print(report) if quick else write("soundstream", report)


if __name__ == "__main__":
    main()
