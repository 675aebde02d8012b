"""GSLM's models and others': encoders, language model, Tacotron 2, WaveGlow. Random weights of the published sizes.

python benchmarks/gslm.py [hubert] [w2v2] [ulm] [tacotron] [waveglow] [--published CHECKOUT] [--one-core] [--quick]

Without names all rows are measured; others are kept if the machine is the same. `--published`: a checkout of
textlesslib, whose Tacotron 2 and WaveGlow are then timed too. --one-core counts CPU time of one thread, for busy
machines. --quick rehearses on little speech and writes no results.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import published_gslm
from benchmarks.common import interleaved, write, written
from benchmarks.score import products_alone
from gslm import tacotron, waveglow
from gslm.hubert import HuBERT
from gslm.ulm import GSLMUnitLM, ULMConfig, UnitDictionary
from gslm.wav2vec2 import Wav2Vec2
from slmcore.encoders.plain import PlainConfig, PlainEncoder
from tests.reference import goldens
from tests.reference import gslm as contents

K = 100
CONVOLUTIONS = ((512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2)
HUBERT = PlainConfig(
    conv_layers=CONVOLUTIONS, dim=768, ffn_dim=3072, heads=12, layers=6, conv_pos=128, conv_pos_groups=16,
    group_norm=True, conv_bias=False, norm_first=False,
)  # fmt: skip
W2V2 = PlainConfig(
    conv_layers=CONVOLUTIONS, dim=1024, ffn_dim=4096, heads=16, layers=15, conv_pos=128, conv_pos_groups=16,
    group_norm=False, conv_bias=True, norm_first=True,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Load:
    """Amounts of audio and repetitions."""

    seconds: float = 30.0
    """Seconds of audio for the encoders."""
    sequences: int = 16
    frames: int = 172
    """Frames of spectrogram, 86 per second, that are made and spoken."""
    runs: int = 3
    published: Path | None = None
    clock: Callable[[], float] = time.perf_counter

    def timed(self, cases: dict[str, Callable[[], object]]) -> dict[str, float]:
        """Seconds of each case."""
        return interleaved(cases, self.runs, clock=self.clock)


def encoder(load: Load, kind: type[PlainEncoder], config: PlainConfig, theirs: nn.Module) -> dict[str, Any]:
    """Features of a layer by ours in two precisions, and by transformers' model cut to that layer."""
    wav = goldens.noise(round(16_000 * load.seconds), 0)
    exact, half = (kind(config).eval().to(dtype) for dtype in (torch.float32, torch.bfloat16))
    with torch.inference_mode():
        cases = {
            "float32": lambda: exact.features(wav, 16_000, config.layers),
            "bfloat16": lambda: half.features(wav, 16_000, config.layers),
            "transformers": lambda: theirs(wav),
        }
        return {"audio_seconds": load.seconds, "layer": config.layers, **compared(load.timed(cases))}


def hubert(load: Load) -> dict[str, Any]:
    """HuBERT base to layer 6."""
    from transformers import HubertConfig, HubertModel

    return encoder(load, HuBERT, HUBERT, HubertModel(HubertConfig(num_hidden_layers=6)).eval())


def w2v2(load: Load) -> dict[str, Any]:
    """wav2vec 2.0 large to layer 15."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=1024, num_hidden_layers=15, num_attention_heads=16, intermediate_size=4096,
        feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True,
    )  # fmt: skip
    return encoder(load, Wav2Vec2, W2V2, Wav2Vec2Model(config).eval())


def ulm(load: Load) -> dict[str, Any]:
    """Scoring of utterances of 20 to 300 units, compared with its matrix products alone."""
    symbols = [*map(str, range(K)), *(f"madeupword{i:04d}" for i in range(4))]
    torch.manual_seed(0)
    config = ULMConfig(vocab_size=K + 8)
    model = GSLMUnitLM(config, UnitDictionary(symbols, K)).eval()
    lengths = torch.randint(20, 301, (load.sequences,)).tolist()
    units = [torch.randint(K, (length,)) for length in lengths]
    matrices = [(config.dim, config.dim)] * 4 + [(config.dim, config.hidden_dim), (config.hidden_dim, config.dim)]
    taken = load.timed({"float32": lambda: model.logprobs(units)})["float32"]
    bound = products_alone(lengths, matrices, config.layers, config.dim, config.vocab_size, clock=load.clock)
    return {"units": sum(lengths), "seconds": {"float32": taken, "matrix products alone": bound}, "over": taken / bound}


def tacotron_row(load: Load) -> dict[str, Any]:
    """Decoding of a spectrogram, in all precisions."""
    content = contents.tacotron_content("gslm_tacotron_full")
    with TemporaryDirectory() as folder:
        file = contents.tacotron_file(Path(folder), "gslm_tacotron_full", content)
        models = {name: tacotron.load(file) for name in ("float32", "bfloat16", "int8", "int8-weight-only")}
    models["bfloat16"].to(torch.bfloat16)
    models["int8"].quantize("int8")
    models["int8-weight-only"].quantize("int8-weight-only")
    ids = torch.randint(1, K, (load.frames // 3,))

    def spoken(model: tacotron.Tacotron) -> Tensor:
        return model([ids], max_frames=load.frames)[0].mel

    cases: dict[str, Callable[[], object]] = {name: lambda m=model: spoken(m) for name, model in models.items()}
    if load.published is not None:
        theirs = published_gslm.tacotron(load.published, content, load.frames)
        cases["published"] = lambda: theirs(ids)
    found = speech_row(load, cases)
    exact = spoken(models["float32"])
    distance = {name: float((spoken(model) - exact).std() / exact.std()) for name, model in models.items()}
    return {**found, "deviation over that of the spectrogram": distance}


def waveglow_row(load: Load) -> dict[str, Any]:
    """Speech of a spectrogram, without the denoiser."""
    content = contents.waveglow_content("gslm_waveglow_full")
    with TemporaryDirectory() as folder:
        torch.save(content, Path(folder) / "waveglow.pt")
        exact, half = (waveglow.load(Path(folder) / "waveglow.pt") for _ in range(2))
    half.to(torch.bfloat16)
    mel = torch.randn(80, load.frames, generator=torch.Generator().manual_seed(1)) * 1.5 - 5
    noise = exact.noise(load.frames)
    cases: dict[str, Callable[[], object]] = {
        "float32": lambda: exact(mel, noise),
        "bfloat16": lambda: half(mel, noise),
    }
    if load.published is not None:
        theirs = published_gslm.waveglow(load.published, content)
        cases["published"] = lambda: theirs(mel[None])
    found = speech_row(load, cases)
    speech = exact(mel, noise)
    decibels = 20 * math.log10(float(speech.std() / (half(mel, noise) - speech).std()))
    return {**found, "signal to rounding error in dB": {"bfloat16": decibels}}


def speech_row(load: Load, cases: dict[str, Callable[[], object]]) -> dict[str, Any]:
    """Seconds and real-time factors of synthesis."""
    with torch.inference_mode():
        taken = load.timed(cases)
    audio = load.frames * 256 / 22050
    factors = {name: seconds / audio for name, seconds in taken.items()}
    return {"audio_seconds": audio, **compared(taken), "real_time_factor": factors}


def compared(taken: dict[str, float]) -> dict[str, Any]:
    """Seconds of all cases, and the speed of each relative to our float32."""
    return {"seconds": taken, "times as fast as float32": {name: taken["float32"] / s for name, s in taken.items()}}


ROWS: dict[str, Callable[[Load], dict[str, Any]]] = {
    "hubert": hubert,
    "w2v2": w2v2,
    "ulm": ulm,
    "tacotron": tacotron_row,
    "waveglow": waveglow_row,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--published", type=Path, help="checkout of textlesslib")
    parser.add_argument("--one-core", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if set(arguments.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(set(arguments.rows) - set(ROWS)))}")
    changes: dict[str, Any] = {"seconds": 2.0, "sequences": 4, "frames": 20, "runs": 1} if arguments.quick else {}
    if arguments.one_core:
        torch.set_num_threads(1)
        changes["clock"] = time.process_time
    load = Load(published=arguments.published, **changes)
    results = written("gslm")
    for row in arguments.rows or ROWS:
        results[row] = ROWS[row](load)
        print(f"{row}: {results[row]}", flush=True)
    if not arguments.quick:
        write("gslm", {**results, "clock": load.clock.__name__})


if __name__ == "__main__":
    main()
