"""The rows of `gpu.py`: each measures the plain and the fast computation in one process, and other implementations.

With `quick`, sizes are small and the device is a CPU, on which the fast path is rehearsed: its times are meaningless.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import common, decode, dpdp, score, train, wavlm
from mistral_ulm import UnitLM
from slmcore.layers.fast import switch

__all__ = ["ROWS", "Row"]

Case = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table."""

    subject: str
    """Name of the file of results."""
    seconds: int
    """Share of the time of all, starting and compiling included."""
    measure: Callable[[bool], dict[str, Any]]


def device(quick: bool) -> str:
    return "cpu" if quick else "cuda"


def dtype(quick: bool) -> torch.dtype:
    return torch.float32 if quick else torch.bfloat16


def fast(case: Case, quick: bool) -> Case:
    """The case with the fast path on."""

    def run() -> None:
        with switch.using("rehearse" if quick else "1"):
            case()

    return run


def both(case: Case, quick: bool, **others: Case) -> dict[str, Any]:
    """Median ms of the plain and the fast computation and of `others`, in turns, and ratios to the fast one."""
    cases = {
        "plain": case,
        "fast": fast(case, quick),
        **{name.replace("_", " "): other for name, other in others.items()},
    }
    seconds = common.interleaved(cases, runs=1 if quick else 3, warm_up=1)
    return {
        "ms": {name: round(1e3 * s, 3) for name, s in seconds.items()},
        "over fast": {name: round(s / seconds["fast"], 3) for name, s in seconds.items()},
    }


def encoder(quick: bool) -> dict[str, Any]:
    """WavLM large to layer 11, 64 x 15 s, through `features_batch`."""
    batch, seconds = (2, 1.0) if quick else (64, 15.0)
    wavs = [0.1 * torch.randn(1, round(16000 * seconds)) for _ in range(batch)]
    config = wavlm.TINY if quick else wavlm.LARGE
    model = wavlm.ours(dtype(quick), device(quick), config)
    theirs = wavlm.transformers_model(dtype(quick), device(quick), config)
    there = torch.cat(wavs).to(device(quick), dtype(quick))
    case = lambda: model.features_batch(wavs, 16000, config.layers)  # noqa: E731
    return {"audio_seconds": batch * seconds, **both(case, quick, transformers=wavlm.run(theirs, there))}


def decoding(batch: int) -> Callable[[bool], dict[str, Any]]:
    def measure(quick: bool) -> dict[str, Any]:
        """ELLA-V, sequences of 10 s of units, greedy."""
        model = decode.ellav(dtype(quick), device(quick), **(decode.TINY if quick else {}))
        count, steps = (min(batch, 3), 40) if quick else (batch, 800)
        prompts = [decode.prompt(1 if quick else 10, seed) for seed in range(count)]
        tokens = decode.tokens_of(model, prompts, steps)
        found = both(lambda: model.generate(prompts, steps, decode.CAP, top_p=0.0), quick)
        rates = {name: round(1e3 * tokens / ms) for name, ms in found["ms"].items()}
        return {"batch": count, "codec_tokens": tokens, **found, "codec_tokens_per_s": rates}

    return measure


def call(quick: bool) -> dict[str, Any]:
    """One `generate` for 1 s of speech with a warm model."""
    model = decode.ellav(dtype(quick), device(quick), **(decode.TINY if quick else {}))
    prompts = iter(range(10**6))
    return both(lambda: model.generate([decode.prompt(1, next(prompts))], 80, 10, top_p=0.8), quick)


def published_loop(quick: bool) -> dict[str, Any]:
    """The published decoding loop, batch 1, for few tokens."""
    model = decode.ellav(dtype(quick), device(quick), **(decode.TINY if quick else {}))
    steps = 10 if quick else 100
    tokens: list[int] = []
    seconds = common.timed(lambda: tokens.extend(map(len, decode.generate(model, [decode.prompt(10)], steps, 3))))
    return {"codec_tokens": sum(tokens), "codec_tokens_per_s": sum(tokens) / seconds}


def units(batch: int, frames: int) -> Callable[[bool], dict[str, Any]]:
    def measure(quick: bool) -> dict[str, Any]:
        """DPDP with 500 codes, and with 25 neighbours, compared with the nearest code."""
        n, t, k = (2, 50, 50) if quick else (batch, frames, 500)
        x, codes = dpdp.features_and_codes(t, k, n)
        found = both(lambda: dpdp.quantise(codes)(x), quick, nearest=lambda: dpdp.nearest(x, codes))
        limited = both(lambda: dpdp.quantise(codes, max(1, k // 20))(x), quick, nearest=lambda: dpdp.nearest(x, codes))
        return {"all codes": over_nearest(found), f"{max(1, k // 20)} neighbours": over_nearest(limited)}

    return measure


def over_nearest(found: dict[str, Any]) -> dict[str, Any]:
    ms = found["ms"]
    return {"ms": ms, "over nearest": {name: round(ms[name] / ms["nearest"], 3) for name in ("plain", "fast")}}


def scoring(shortest: int, longest: int) -> Callable[[bool], dict[str, Any]]:
    def measure(quick: bool) -> dict[str, Any]:
        """Log-likelihoods of 2,000 sequences."""
        config = score.TINY if quick else score.CONFIG
        torch.manual_seed(0)
        model = UnitLM(config).to(device(quick), dtype(quick)).eval()
        ids = score.sequences(20 if quick else 2000, min(shortest, 30) if quick else shortest,
                              30 if quick else longest, device(quick))  # fmt: skip
        theirs = score.mistral(device(quick), dtype(quick), config)
        others = {} if theirs is None else {"transformers_padded": lambda: theirs(ids, 64)}
        return {"units": sum(len(s) - 1 for s in ids), **both(lambda: model.loglikelihoods(ids), quick, **others)}

    return measure


def training(compiled: bool) -> Callable[[bool], dict[str, Any]]:
    def measure(quick: bool) -> dict[str, Any]:
        """Tokens per second of training the language model; `compiled`: with --compile, the fast path alone."""
        steps, warm = (2, 1) if quick else (6, 2)
        sizes: dict[str, Any] = {**(train.QUICK if quick else {}), "compile": compiled and not quick}
        rates: dict[str, float] = {}
        if not compiled:
            rates["plain loop"] = train.plain(train.settings(sizes, steps, warm))
            rates["slmzoo train"] = train.framework(train.settings(sizes, steps, warm), warm)
        with switch.using("rehearse" if quick else "1"):
            rates["slmzoo train, fast"] = train.framework(train.settings(sizes, steps, warm), warm)
        peak = train.matrix_rate(256 if quick else 8192)
        flops = train.flops_a_token(train.settings(sizes, steps, warm))
        return {
            "compiled": sizes["compile"],
            "tokens_per_s": {name: round(rate) for name, rate in rates.items()},
            "share_of_matrix_rate": {name: round(rate * flops / peak, 3) for name, rate in rates.items()},
        }

    return measure


def pipeline(quick: bool) -> dict[str, Any]:
    """Units to speech of 64 utterances of 10 s with models of the published sizes, by their slowest part."""
    from slmzoo.ellav_synthesizer import EllaVSynthesizer
    from wavtokenizer import CONFIGS, WavTokenizer

    count, seconds = (2, 0.5) if quick else (64, 10.0)
    model = decode.ellav(dtype(quick), device(quick), **(decode.TINY if quick else {}))
    codec = WavTokenizer(CONFIGS["small_600_24k_4096"]).eval().to(device(quick))
    speaker = EllaVSynthesizer(model, codec)
    units = [[int(name[1:]) for name in decode.prompt(seconds, seed)] for seed in range(count)]
    codes = [torch.zeros(round(40 * seconds), dtype=torch.int64) for _ in range(count)]
    found = both(lambda: speaker.speak(units, top_p=0.0), quick, codec_alone=lambda: codec.decode_batch(codes))
    made = [each.wav.shape[1] / each.sample_rate for each in speaker.speak(units, top_p=0.0)]
    speed = {name: round(1e3 * sum(made) / found["ms"][name], 1) for name in ("plain", "fast")}
    return {"utterances": count, "speech_seconds": sum(made), **found, "times_real_time": speed}


ROWS = {
    "WavLM large, layer 11, 64 x 15 s": Row(subject="wavlm", seconds=35, measure=encoder),
    "ELLA-V, batch 1": Row(subject="decode", seconds=27, measure=decoding(1)),
    "ELLA-V, batch 32": Row(subject="decode", seconds=25, measure=decoding(32)),
    "ELLA-V, batch 64": Row(subject="decode", seconds=35, measure=decoding(64)),
    "ELLA-V, a call for 1 s of speech": Row(subject="decode", seconds=15, measure=call),
    "ELLA-V, published loop": Row(subject="decode", seconds=16, measure=published_loop),
    "DPDP, 64 x 1500": Row(subject="dpdp", seconds=10, measure=units(64, 1500)),
    "DPDP, 1 x 1000": Row(subject="dpdp", seconds=7, measure=units(1, 1000)),
    "scoring, 2,000 x 200": Row(subject="score", seconds=28, measure=scoring(200, 200)),
    "scoring, 2,000 x 20 to 300": Row(subject="score", seconds=32, measure=scoring(20, 300)),
    "training the language model": Row(subject="train", seconds=45, measure=training(compiled=False)),
    "training the language model, compiled": Row(subject="train", seconds=55, measure=training(compiled=True)),
    "units to speech, 64 x 10 s": Row(subject="pipeline", seconds=30, measure=pipeline),
}
