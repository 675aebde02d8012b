"""The oracle: the published WavTokenizer, one utterance at a time, from its weights by their published names."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]
ENCODER = "feature_extractor.encodec.encoder.model."
CODEBOOK = "feature_extractor.encodec.quantizer.vq.layers.0._codebook."


def published_shapes(
    strides: tuple[int, ...], filters: int, dimension: int, codes: int, dim: int, intermediate: int, layers: int
) -> dict[str, tuple[tuple[int, ...], str]]:
    """Keys and shapes of a published checkpoint of any size; `strides` in order of application."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, out: int, into: int, kernel: int) -> None:
        shapes[f"{name}.conv.conv.bias"] = (out,)
        shapes[f"{name}.conv.conv.weight_g"] = (out, 1, 1)
        shapes[f"{name}.conv.conv.weight_v"] = (out, into, kernel)

    def dense(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    width = filters
    conv(ENCODER + "0", width, 1, 7)
    for i, stride in enumerate(strides):
        conv(f"{ENCODER}{3 * i + 1}.block.1", width // 2, width, 3)
        conv(f"{ENCODER}{3 * i + 1}.block.3", width, width // 2, 1)
        conv(f"{ENCODER}{3 * i + 1}.shortcut", width, width, 1)
        conv(f"{ENCODER}{3 * i + 3}", 2 * width, width, 2 * stride)
        width *= 2
    last = 3 * len(strides)
    for layer in range(2):
        for kind in ("weight_ih", "weight_hh"):
            shapes[f"{ENCODER}{last + 1}.lstm.{kind}_l{layer}"] = (4 * width, width)
        for kind in ("bias_ih", "bias_hh"):
            shapes[f"{ENCODER}{last + 1}.lstm.{kind}_l{layer}"] = (4 * width,)
    conv(f"{ENCODER}{last + 3}", dimension, width, 7)
    shapes |= {CODEBOOK + "embed": (codes, dimension), CODEBOOK + "embed_avg": (codes, dimension)}
    shapes |= {CODEBOOK + "cluster_size": (codes,), CODEBOOK + "inited": (1,)}
    conv("feature_extractor.encodec.decoder.model.0", width, dimension, 7)
    dense("backbone.embed", dim, dimension, 7)
    for i in (0, 1, 3, 4):
        for part in (1, 2):
            dense(f"backbone.pos_net.{i}.norm{part}", dim)
            dense(f"backbone.pos_net.{i}.conv{part}", dim, dim, 3)
    dense("backbone.pos_net.2.norm", dim)
    for part in ("q", "k", "v", "proj_out"):
        dense(f"backbone.pos_net.2.{part}", dim, dim, 1)
    dense("backbone.pos_net.5", dim)
    adaptive = ["backbone.norm"]
    for i in range(layers):
        block = f"backbone.convnext.{i}"
        shapes[f"{block}.gamma"] = (dim,)
        dense(f"{block}.dwconv", dim, 1, 7)
        dense(f"{block}.pwconv1", intermediate, dim)
        dense(f"{block}.pwconv2", dim, intermediate)
        adaptive.append(f"{block}.norm")
    for name in adaptive:
        shapes[f"{name}.scale.weight"] = shapes[f"{name}.shift.weight"] = (4, dim)
    dense("backbone.final_layer_norm", dim)
    n_fft = 4 * int(np.prod(strides))
    dense("head.out", n_fft + 2, dim)
    shapes["head.istft.window"] = (n_fft,)
    return {name: (shape, "float32") for name, shape in shapes.items()}


def encode(state: State, wav: Tensor, strides: tuple[int, ...]) -> Tensor:
    """Waveform (samples,) to codes (frames,)."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        v, g = state[f"{ENCODER}{name}.conv.conv.weight_v"], state[f"{ENCODER}{name}.conv.conv.weight_g"]
        weight = g * v / v.flatten(1).norm(dim=1)[:, None, None]
        total = v.shape[-1] - stride
        frames = -(-x.shape[-1] // stride)
        right = total // 2
        extra = frames * stride - x.shape[-1]
        if total:
            x = F.pad(x, (total - right, right + extra), mode="reflect")
        return F.conv1d(x, weight, state[f"{ENCODER}{name}.conv.conv.bias"], stride)

    x = conv(wav[None, None], "0")
    for i, stride in enumerate(strides):
        block = f"{3 * i + 1}"
        residual = conv(F.elu(conv(F.elu(x), block + ".block.1")), block + ".block.3")
        x = conv(F.elu(conv(x, block + ".shortcut") + residual), f"{3 * i + 3}", stride)
    last = 3 * len(strides)
    x = x + _lstm(state, f"{ENCODER}{last + 1}.lstm.", x[0].T).T
    latents = conv(F.elu(x), f"{last + 3}")[0].T
    return (latents[:, None] - state[CODEBOOK + "embed"]).square().sum(-1).argmin(1)


def _lstm(state: State, prefix: str, x: Tensor) -> Tensor:
    for layer in range(2):
        w_ih, w_hh, b_ih, b_hh = (
            state[f"{prefix}{kind}_l{layer}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        hidden = cell = x.new_zeros(w_hh.shape[1])
        outputs = []
        for frame in x:
            into, forget, new, out = (w_ih @ frame + b_ih + w_hh @ hidden + b_hh).chunk(4)
            cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
            hidden = out.sigmoid() * cell.tanh()
            outputs.append(hidden)
        x = torch.stack(outputs)
    return x


def decode(state: State, codes: Tensor, hop: int) -> np.ndarray:
    """Codes (frames,) to waveform (frames * hop,)."""

    def conv(x: Tensor, name: str, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv1d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2, groups=groups)

    def group(x: Tensor, name: str) -> Tensor:
        return F.group_norm(x, 32, state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def adaptive(x: Tensor, name: str) -> Tensor:
        normed = F.layer_norm(x.mT, x.shape[1:2], eps=1e-6)
        return (normed * state[f"{name}.scale.weight"][0] + state[f"{name}.shift.weight"][0]).mT

    def swish(x: Tensor) -> Tensor:
        return x * x.sigmoid()

    x = conv(state[CODEBOOK + "embed"][codes].T[None], "backbone.embed")
    for i in range(5):
        name = f"backbone.pos_net.{i}"
        if i == 2:
            q, k, v = (conv(group(x, name + ".norm"), f"{name}.{part}")[0] for part in "qkv")
            weights = (q.T @ k / len(q) ** 0.5).softmax(dim=1)
            x = x + conv((v @ weights.T)[None], name + ".proj_out")
        else:
            hidden = conv(swish(group(x, name + ".norm1")), name + ".conv1")
            x = x + conv(swish(group(hidden, name + ".norm2")), name + ".conv2")
    x = adaptive(group(x, "backbone.pos_net.5"), "backbone.norm")
    i = 0
    while (block := f"backbone.convnext.{i}") + ".gamma" in state:
        hidden = adaptive(conv(x, block + ".dwconv", groups=x.shape[1]), block + ".norm").mT
        hidden = F.gelu(F.linear(hidden, state[block + ".pwconv1.weight"], state[block + ".pwconv1.bias"]))
        hidden = F.linear(hidden, state[block + ".pwconv2.weight"], state[block + ".pwconv2.bias"])
        x, i = x + (state[block + ".gamma"] * hidden).mT, i + 1
    name = "backbone.final_layer_norm"
    x = F.layer_norm(x.mT, x.shape[1:2], state[name + ".weight"], state[name + ".bias"], 1e-6)
    magnitude, phase = F.linear(x, state["head.out.weight"], state["head.out.bias"])[0].T.chunk(2)
    spectrum = magnitude.exp().clip(max=100).numpy() * np.exp(1j * phase.numpy())
    return overlap_add(spectrum, hop)


def overlap_add(spectrum: np.ndarray, hop: int) -> np.ndarray:
    """Inverse STFT of (n_fft / 2 + 1, T) with a Hann window and "same" padding, sample by sample as it is defined."""
    n_fft, frames = 2 * (len(spectrum) - 1), spectrum.shape[1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    wav, envelope = np.zeros((2, (frames - 1) * hop + n_fft))
    for t in range(frames):
        wav[t * hop : t * hop + n_fft] += window * np.fft.irfft(spectrum[:, t], n_fft)
        envelope[t * hop : t * hop + n_fft] += window**2
    cut = (n_fft - hop) // 2
    return wav[cut : cut + frames * hop] / envelope[cut : cut + frames * hop]
