"""Decoding speed: ELLA-V, the bare forward pass of a token, and the codec, at every precision.

    python benchmarks/decode.py [--device cuda]

Full-size models with random weights. The baseline is `published_loop.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))


from benchmarks.common import interleaved, timed, write
from benchmarks.published_loop import generate
from ellav import EllaV, EllaVTokenizer
from slmcore.layers.int8 import Scheme, quantize_linears
from slmcore.layers.transformer import TransformerConfig
from wavtokenizer import CONFIGS, WavTokenizer

UNITS_A_SECOND, CAP = 12, 10
BURST = 10
"""Tokens of one turn of the bare forward pass: as in decoding, a model's caches are its own."""
BOUND_BYTES = 1 << 30
PUBLISHED = {"dim": 1024, "n_layers": 12, "head_dim": 64, "hidden_dim": 4096, "n_heads": 16, "n_kv_heads": 16}
TINY = {"dim": 32, "n_layers": 2, "head_dim": 8, "hidden_dim": 48, "n_heads": 4, "n_kv_heads": 4}


def ellav(dtype: torch.dtype, device: str, **sizes: int) -> EllaV:
    """The published size. A bias on EOP makes units last as long as the codec's 40 tokens per second require."""
    torch.manual_seed(0)
    tokenizer = EllaVTokenizer.for_units(500, 4096, 50, 40)
    config = TransformerConfig(vocab_size=tokenizer.vocab_size, output_bias=True, **(PUBLISHED | sizes))
    model = EllaV(config, tokenizer).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.02)
        model.transformer.output.bias.fill_(0)
        model.transformer.output.bias[: tokenizer.first_codec] = -30
        model.transformer.output.bias[2] = -30
    return model.to(device, dtype)


def prompt(seconds: float, seed: int = 0) -> list[str]:
    """Units without repeats, 12 per second."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, 499, (round(seconds * UNITS_A_SECOND),), generator=generator).tolist()
    return [f"u{unit + (i % 2)}" for i, unit in enumerate(drawn)]


def forward_of_a_token(model: EllaV, at: int = 300) -> Callable[[], None]:
    """A function that runs the bare forward pass of one token, head included, `at` tokens into a sequence."""
    cache = model.transformer.cache(1, at + 2)
    ids = torch.zeros(1, 1, dtype=torch.int64, device=model.device)
    positions = torch.full((1, 1), at, device=model.device)

    @torch.inference_mode()
    def run() -> None:
        model.transformer.output(model.transformer.hidden(ids, positions, cache, at + 1))

    return run


def tokens_of(model: EllaV, prompts: list[list[str]], steps: int) -> int:
    """Number of tokens in `steps` steps of the project's loop, forced ones included."""
    codes, _ = model.generate(prompts, steps, CAP, top_p=0.0)
    return sum(map(len, codes))


def variants() -> dict[str, EllaV]:
    """One model at every precision for CPUs."""
    made = {"float32": ellav(torch.float32, "cpu"), "bfloat16": ellav(torch.bfloat16, "cpu")}
    schemes: tuple[Scheme, ...] = ("int8", "int8-weight-only")
    for scheme in schemes:
        made[scheme] = ellav(torch.float32, "cpu")
        quantize_linears(made[scheme].transformer, scheme)
    return made


def repeat(call: Callable[[], object], times: int) -> None:
    for _ in range(times):
        call()


def loop_over_bare(model: EllaV, steps: int = 100) -> dict[str, float]:
    """The loop's time for a step of one token, beside the bare forward pass at the same distance, on average."""
    bare = forward_of_a_token(model, steps // 2)
    cases = {
        "loop_ms": lambda: model.generate([["u1"]], steps, 10 * steps, top_p=0.0),
        "bare_ms": lambda: repeat(bare, steps),
    }
    taken = {name: 1e3 * seconds / steps for name, seconds in interleaved(cases, runs=5).items()}
    return {**taken, "ratio": taken["loop_ms"] / taken["bare_ms"]}


def speak(model: EllaV, codec: WavTokenizer, units: list[str]) -> tuple[int, float]:
    """Codec tokens, and seconds from units to a waveform."""
    made: list[int] = []

    def work() -> None:
        codes = model.generate([units], 2000, 3, top_p=0.0)[0][0]
        codec.decode(codes[None, None])
        made.append(len(codes))

    seconds = timed(work)
    return made[0], seconds


def on_cpu() -> dict[str, Any]:
    """The CPU rows."""
    models = variants()
    passes = {name: partial(repeat, forward_of_a_token(model), BURST) for name, model in models.items()}
    bare = {name: s / BURST for name, s in interleaved(passes, runs=9, warm_up=2).items()}
    loops = {name: loop_over_bare(model) for name, model in models.items()}
    codec = WavTokenizer(CONFIGS["small_600_24k_4096"]).eval()
    spoken = {name: speak(model, codec, prompt(10)) for name, model in models.items()}
    baseline = timed(lambda: generate(models["float32"], [prompt(10)], 2000, 3))
    ten_seconds = torch.zeros(1, 1, 400, dtype=torch.int64)
    decoding = interleaved({"decode": lambda: codec.decode(ten_seconds)}, runs=5)["decode"]
    return {
        "one_token_ms": {name: 1e3 * s for name, s in bare.items()},
        "speed_up_over_float32": {name: bare["float32"] / s for name, s in bare.items()},
        "loop_and_bare_forward_of_a_token": loops,
        "units_of_10_s_to_speech": {
            **{name: {"codec_tokens": tokens, "seconds": s} for name, (tokens, s) in spoken.items()},
            "published loop, float32, without the codec": {"seconds": baseline},
        },
        "codec_decode_10_s_real_time_factor": decoding / 10,
    }


def on_gpu() -> dict[str, Any]:
    """The GPU rows."""
    model = ellav(torch.bfloat16, "cuda")
    read = torch.empty(BOUND_BYTES, dtype=torch.uint8, device="cuda")
    bandwidth = BOUND_BYTES / interleaved({"sum": lambda: read.view(torch.int64).sum()}, runs=20)["sum"]
    weights = sum(p.numel() * p.itemsize for p in model.transformer.parameters())
    results: dict[str, Any] = {"read_GB_per_s": bandwidth / 1e9, "bound_tokens_per_s": bandwidth / weights}
    for batch in (1, 32):
        prompts = [prompt(10, seed) for seed in range(batch)]
        cases = {
            "captured": lambda p=prompts: model.generate(p, 800, 3, top_p=0.0),
            "uncaptured": lambda p=prompts: model.generate(p, 800, 3, top_p=0.0, graph=False),
            "published_loop": lambda p=prompts: generate(model, p, 800, 3),
        }
        seconds = interleaved(cases, runs=3)
        tokens = tokens_of(model, prompts, 800)
        results[f"batch_{batch}"] = {
            name: {"seconds": s, "codec_tokens_per_s": tokens / s} for name, s in seconds.items()
        }
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    write("decode", on_gpu() if parser.parse_args().device == "cuda" else on_cpu())
