"""WavLM large to layer 11: ours against transformers' and torchaudio's, and its matrix products alone.

Random weights of the full size. `python benchmarks/encode.py wavlm` measures them: on a CPU 30 s of audio; on a GPU
batches of 64 x 15 s, against one at a time and transformers' batch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import interleaved
from wavlm_codebooks import WavLM, WavLMConfig

LAYER = 11
LARGE = WavLMConfig(
    conv_layers=((512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2),
    dim=1024,
    ffn_dim=4096,
    heads=16,
    layers=LAYER,
    conv_pos=128,
    conv_pos_groups=16,
    num_buckets=320,
    max_distance=800,
)


TINY = replace(LARGE, conv_layers=((32, 10, 5), *[(32, 3, 2)] * 4, *[(32, 2, 2)] * 2), dim=64, ffn_dim=96, heads=4)
TINY = replace(TINY, layers=2, conv_pos=16, conv_pos_groups=4)


def ours(dtype: torch.dtype, device: str, config: WavLMConfig = LARGE) -> WavLM:
    torch.manual_seed(0)
    return WavLM(config).eval().to(device, dtype)


def transformers_model(dtype: torch.dtype, device: str, sizes: WavLMConfig = LARGE) -> nn.Module:
    """Return their model, cut to the same layer."""
    from transformers import WavLMConfig as Config
    from transformers import WavLMModel

    config = Config(
        hidden_size=sizes.dim, num_hidden_layers=sizes.layers, num_attention_heads=sizes.heads,
        intermediate_size=sizes.ffn_dim, conv_dim=[channels for channels, _, _ in sizes.conv_layers],
        num_conv_pos_embeddings=sizes.conv_pos, num_conv_pos_embedding_groups=sizes.conv_pos_groups,
        feat_extract_norm="layer", do_stable_layer_norm=True, num_buckets=320, max_bucket_distance=800,
    )  # fmt: skip
    return WavLMModel(config).eval().to(device, dtype)


def torchaudio_model() -> nn.Module:
    """Return their model, cut to the same layer."""
    from torchaudio.models import wavlm_model

    conv_layers = [(512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2]
    return wavlm_model(
        extractor_mode="layer_norm", extractor_conv_layer_config=conv_layers, extractor_conv_bias=False,
        encoder_embed_dim=1024, encoder_projection_dropout=0.0, encoder_pos_conv_kernel=128,
        encoder_pos_conv_groups=16, encoder_num_layers=LAYER, encoder_num_heads=16, encoder_num_buckets=320,
        encoder_max_distance=800, encoder_attention_dropout=0.0, encoder_ff_interm_features=4096,
        encoder_ff_interm_dropout=0.0, encoder_dropout=0.0, encoder_layer_norm_first=True, encoder_layer_drop=0.0,
        aux_num_out=None,
    ).eval()  # fmt: skip


def run(model: nn.Module, wav: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def call() -> object:
        return model(wav)

    return call


def operations(model: WavLM, wav: Tensor) -> int:
    """Floating-point operations of all matrix products and convolutions, those of attention included."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        frames = model(wav, layer=LAYER).shape[1]
    # The counter does not include the attention kernel of CPUs.
    return counter.get_total_flops() + LAYER * 4 * frames**2 * model.dim


def on_cpu(seconds: float, runs: int) -> dict[str, Any]:
    wav = 0.1 * torch.randn(1, round(16000 * seconds), generator=torch.Generator().manual_seed(0))
    mine, half = ours(torch.float32, "cpu"), ours(torch.bfloat16, "cpu")
    rows, inner, columns = 1500, 1024, 4096
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    cases = {
        "float32": lambda: mine.features(wav, 16000, LAYER),
        "bfloat16": lambda: half.features(wav, 16000, LAYER),
        "transformers": run(transformers_model(torch.float32, "cpu"), wav),
        "torchaudio": run(torchaudio_model(), wav),
        "matrix products alone": lambda: [a @ b for _ in range(10)],
    }
    taken = interleaved(cases, runs)
    # At the rate of the model's largest product.
    taken["matrix products alone"] *= operations(mine, wav) / (10 * 2 * rows * inner * columns)
    return {
        "audio_seconds": seconds,
        "seconds": taken,
        "float32 over": {name: taken["float32"] / s for name, s in taken.items()},
    }


def on_gpu(seconds: float, runs: int) -> dict[str, Any]:
    wavs = [0.1 * torch.randn(1, round(16000 * seconds)) for _ in range(64)]
    batch = torch.cat(wavs).cuda()
    mine, half = ours(torch.float32, "cuda"), ours(torch.bfloat16, "cuda")
    theirs = run(transformers_model(torch.bfloat16, "cuda"), batch.bfloat16())
    cases = {
        "bfloat16, batch of 64": lambda: half.features_batch(wavs, 16000, LAYER),
        "float32, one at a time": lambda: [mine.features(wav, 16000, LAYER) for wav in wavs],
        "transformers, bfloat16, batch of 64": theirs,
    }
    taken = interleaved(cases, runs, warm_up=2)
    best = taken["bfloat16, batch of 64"]
    return {"audio_seconds": 64 * seconds, "seconds": taken, "over": {name: s / best for name, s in taken.items()}}
