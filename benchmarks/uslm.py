"""USLM: codes of the first level per second with the cache, against a plain loop without one.

    python benchmarks/uslm.py [--layers 12] [--dim 1024]

Published sizes with random weights, greedy, float32. 49 frames are spoken after 210 positions, as many as 3 s of prompt
and a sentence of 60 phones; both ways must give the same codes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import interleaved, write
from slmcore.units import Codes
from speechtokenizer.uslm import USLM, USLMConfig

TEXT = torch.tensor([1, 7, 2])
PROMPT_FRAMES = 207


def model_of(dim: int, layers: int) -> USLM:
    """A model that never ends by itself: the logit of the end is always 0."""
    torch.manual_seed(0)
    heads = dim // 64
    config = USLMConfig(dim=dim, heads=heads, layers=layers, nar_dim=dim, nar_heads=heads, nar_layers=layers)
    model = USLM(config).eval()
    with torch.no_grad():
        model.ar.output.weight[model.config.end] = 0
    return model


@torch.inference_mode()
def plain(model: USLM, prompt: Codes) -> Tensor:
    """Greedy codes (levels, frames), each step from a full pass over text, prompt and all previous codes."""
    first = prompt.codes[0]
    for _ in range(model.longest(TEXT)):
        ids = model.ar.ids(TEXT, first)[None]
        logits = model.ar.output(model.ar.hidden(ids, torch.tensor([[len(TEXT)]]))[0, -1])
        first = torch.cat([first, logits[: model.config.end].argmax()[None]])
    return other_levels(model, prompt, first[PROMPT_FRAMES:])


@torch.inference_mode()
def other_levels(model: USLM, prompt: Codes, first: Tensor) -> Tensor:
    """All levels of frames whose first level is known: one pass for each."""
    new = torch.zeros(model.config.num_codebooks, len(first), dtype=torch.int64)
    new[0] = first
    codes = torch.cat([prompt.codes, new], 1)
    for level in range(1, model.config.num_codebooks):
        codes[level, PROMPT_FRAMES:] = model([TEXT], [codes], level)[0][PROMPT_FRAMES:].argmax(-1)
    return codes[:, PROMPT_FRAMES:]


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=12)
    given = parser.parse_args()
    model = model_of(given.dim, given.layers)
    draw = torch.Generator().manual_seed(0)
    prompt = Codes(torch.randint(1024, (8, PROMPT_FRAMES), generator=draw), 50.0, 1024)
    made = model.generate(TEXT, prompt, temperature=0).codes
    if not torch.equal(made, plain(model, prompt)):
        raise SystemExit("The cache changes the codes.")
    cases = {
        "cache": lambda: model.generate(TEXT, prompt, temperature=0),
        "plain loop": lambda: plain(model, prompt),
        "other levels alone": lambda: other_levels(model, prompt, made[0]),
    }
    seconds = interleaved(cases, runs=1, warm_up=0)
    frames, rest = made.shape[1], seconds["other levels alone"]
    rates = {name: frames / (seconds[name] - rest) for name in ("cache", "plain loop")}
    sizes = {"dim": given.dim, "layers": given.layers, "frames": frames}
    write("uslm", {**sizes, "seconds": seconds, "codes of the first level per second": rates})


if __name__ == "__main__":
    main()
