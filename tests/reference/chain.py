"""The whole system on one input, composed without the project's code: published features, and plain loops in float64.

Features are the golden ones of the published encoder; the units come from the full recursion over all pairs of codes,
likelihood and codec tokens from `tests.reference.transformer`, sound from `tests.reference.wavtokenizer`. Weights
are those of `tests.reference.tiny_zoo`.

    python -m tests.reference.chain FOLDER

writes chain.json and chain.npz beside other goldens (SLMZOO_GOLDENS, SLMZOO_GOLDEN_SEED), as tests/golden got them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.reference import goldens, tiny_zoo, wavtokenizer
from tests.reference.dpdp_brute import limited
from tests.reference.transformer import logits

UNK, BOS, EOP, EOS = range(4)
CAP, MOST_STEPS = 10, 2000
KEPT = 16
"""Each so many-th sample of the sound is kept."""


def compute(seed: int) -> tuple[dict[str, Any], np.ndarray]:
    """Units, durations, likelihood and greedy codec tokens of the goldens' `noise16k`, and every 16th sample of the
    sound; `margin` is the smallest lead of a codec token that was chosen."""
    files = tiny_zoo.contents(seed)
    features = goldens.load_npz("wavlm_small")[f"noise16k/layer{tiny_zoo.LAYER}"]
    framewise = segment(features, files["codebook.pt"]["codebook"].numpy())
    units, durations = (x.tolist() for x in torch.unique_consecutive(torch.tensor(framewise), return_counts=True))
    codes, finished, margin = speak(files["ellav.pt"], units)
    decoder = files["wavtokenizer.ckpt"]["state_dict"]
    wav = wavtokenizer.decode(decoder, torch.tensor(codes), tiny_zoo.HOP) if codes else np.zeros(0)
    about = {"units": units, "durations": durations, "loglikelihood": loglikelihood(files["ulm.pt"], units)}
    about |= {"codes": codes, "finished": finished, "margin": margin, "samples": len(wav)}
    return about, wav[::KEPT].astype(np.float32)


def segment(features: np.ndarray, codebook: np.ndarray) -> list[int]:
    """The units with the lowest sum_t |x_t - c|^2 - lambda [u_t = u_t-1], over all pairs of codes in each step."""
    squares = np.square(features[:, None].astype(np.float64) - codebook[None]).sum(-1)
    distances = limited(squares, tiny_zoo.NEIGHBORS)
    stays = tiny_zoo.LMBDA * np.eye(len(codebook))
    value, origins = distances[0], []
    for row in distances[1:]:
        options = value[:, None] - stays
        origins.append(options.argmin(0))
        value = options.min(0) + row
    path = [int(value.argmin())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return path[::-1]


def loglikelihood(file: dict[str, Any], units: list[int]) -> float:
    ids = [0, *(unit + 1 for unit in units)]
    found = logits(_double(file["model_state_dict"]), file["model_args"], ids[:-1]).log_softmax(1)
    return float(sum(found[t, token] for t, token in enumerate(ids[1:])))


def speak(file: dict[str, Any], units: list[int]) -> tuple[list[int], bool, float]:
    """Greedy codec tokens of units; ELLA-V forces the next unit after EOP, and EOP where a unit grows too long."""
    table = file["tokenizer"]["token_to_id_dict"]
    first_codec, phones = 4 + tiny_zoo.K, [table[f"u{unit}"] for unit in units]
    state = _double(file["model_state"])
    sequence, tokens, margin = [*phones, BOS, phones[0]], [], float("inf")
    forced, count, index = -1, 0, 0
    for _ in range(MOST_STEPS):
        token = forced
        if token < 0:
            best = logits(state, file["model_args"], sequence)[-1].topk(2)
            token, margin = int(best.indices[0]), min(margin, float(best.values[0] - best.values[1]))
        index, count = (index + 1, 0) if token == EOP else (index, count + 1)
        if index == len(phones):
            break
        tokens.append(token)
        sequence.append(token)
        forced = phones[index] if token == EOP else EOP if count > CAP + 1 else -1
    return [t - first_codec for t in tokens if t >= first_codec], index == len(phones), margin


def _double(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.double() for name, tensor in state.items()}


def load(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """The chain of a folder of goldens; computed anew where it holds none."""
    if not (folder / "chain.json").exists():
        return compute(goldens.seed())
    return goldens.load_json("chain"), goldens.load_npz("chain")["wav"]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    made, sound = compute(goldens.seed())
    (target / "chain.json").write_text(json.dumps(made) + "\n", encoding="utf-8")
    np.savez_compressed(target / "chain.npz", wav=sound)
