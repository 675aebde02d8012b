"""Scoring speed: log-likelihoods of many unit sequences. `python benchmarks/score.py [--device cuda]`.

The full-size language model with random weights, compared with one sequence at a time, transformers' Mistral of the
same size with padding (where transformers is installed), and the matrix products alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import interleaved, write
from mistral_ulm import UnitLM
from slmcore.batching import batches
from slmcore.language.scoring import TOKENS_AT_ONCE
from slmcore.layers.transformer import TransformerConfig

K = 500
CONFIG = TransformerConfig(
    dim=1024, n_layers=12, head_dim=64, hidden_dim=4096, n_heads=16, n_kv_heads=16, vocab_size=K + 1
)  # fmt: skip


TINY = TransformerConfig(
    dim=32, n_layers=2, head_dim=8, hidden_dim=48, n_heads=4, n_kv_heads=4, vocab_size=K + 1
)  # fmt: skip


def sequences(count: int, shortest: int, longest: int, device: str) -> list[Tensor]:
    """Ids of units, BOS first."""
    torch.manual_seed(1)
    lengths = torch.randint(shortest, longest + 1, (count,)).tolist()
    return [torch.cat([torch.zeros(1, dtype=torch.int64), torch.randint(1, K + 1, (n,))]).to(device) for n in lengths]


def mistral(
    device: str, dtype: torch.dtype, c: TransformerConfig = CONFIG
) -> Callable[[Sequence[Tensor], int], None] | None:
    """Padded scoring by transformers, in batches in the given order."""
    if importlib.util.find_spec("transformers") is None:
        return None
    from transformers import MistralConfig, MistralForCausalLM

    sizes = {"hidden_size": c.dim, "intermediate_size": c.hidden_dim, "num_hidden_layers": c.n_layers}
    sizes |= {"vocab_size": c.vocab_size, "head_dim": c.head_dim}
    heads = {"num_attention_heads": c.n_heads, "num_key_value_heads": c.n_kv_heads, "sliding_window": None}
    model = MistralForCausalLM(MistralConfig(**sizes, **heads)).to(device, dtype).eval()

    @torch.inference_mode()
    def run(ids: Sequence[Tensor], batch: int) -> None:
        for first in range(0, len(ids), batch):
            some = list(ids[first : first + batch])
            padded = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
            mask = torch.arange(padded.shape[1], device=device) < torch.tensor([[len(s)] for s in some], device=device)
            logits = model(padded, attention_mask=mask.long()).logits[:, :-1].float()
            logits.log_softmax(-1).gather(2, padded[:, 1:, None]).squeeze(2).mul(mask[:, 1:]).sum(1).tolist()

    return run


def products_alone(
    lengths: Sequence[int],
    matrices: Sequence[tuple[int, int]],
    layers: int,
    dim: int,
    vocabulary: int,
    rows: int = 1024,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds that the matrix products of sequences need at the rate measured for `rows` rows, attention included.

    `matrices`: sizes of those of a layer.
    """
    operands = [(torch.randn(rows, i), torch.randn(i, o)) for i, o in matrices]
    seconds = interleaved({"gemm": lambda: [a @ b for a, b in operands]}, runs=7, warm_up=2, clock=clock)["gemm"]
    rate = 2 * rows * sum(i * o for i, o in matrices) / seconds
    linear = 2 * sum(lengths) * (layers * sum(i * o for i, o in matrices) + dim * vocabulary)
    attention = sum(4 * n * n * dim for n in lengths) * layers / 2
    return (linear + attention) / rate


def run(device: str) -> dict[str, Any]:
    """All rows for one device."""
    cuda = device == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    torch.manual_seed(0)
    ulm = UnitLM(CONFIG).to(device, dtype).eval()
    ids = sequences(2000, 200, 200, device) if cuda else sequences(300, 20, 300, device)
    few = ids[:200] if cuda else ids[:30]
    cases: dict[str, Callable[[], object]] = {"batched": lambda: ulm.loglikelihoods(ids)}
    theirs = mistral(device, dtype)
    if theirs is not None:
        cases["transformers_padded"] = lambda: theirs(ids, 64 if cuda else 8)
    # On a CPU a case takes minutes: the overhead of a first call is negligible.
    turns = {"runs": 3, "warm_up": 1} if cuda else {"runs": 1, "warm_up": 0}
    seconds = interleaved(cases, **turns)
    single = interleaved({"single": lambda: [ulm.loglikelihood(s) for s in few]}, **turns)["single"]
    share = sum(map(len, ids)) / sum(map(len, few))
    padded = sum(len(b) * max(len(ids[i]) for i in b) for b in batches([len(s) for s in ids], TOKENS_AT_ONCE[device]))
    results = {
        "sequences": len(ids),
        "units": sum(len(s) - 1 for s in ids),
        "seconds": {**seconds, "one_at_a_time": single * share},
        "padding_share": 1 - sum(map(len, ids)) / padded,
    }
    if not cuda:
        c = CONFIG
        matrices = [(c.dim, c.dim)] * 4 + [(c.dim, c.hidden_dim)] * 2 + [(c.hidden_dim, c.dim)]
        bound = products_alone([len(s) - 1 for s in ids], matrices, c.n_layers, c.dim, c.vocab_size)
        results |= {"matrix_products_alone_s": bound, "batched_over_products": seconds["batched"] / bound}
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    write("score", run(parser.parse_args().device))
