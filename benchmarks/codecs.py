"""Codecs: encoding and decoding compared with their published packages, and batches with single utterances.

pip install --no-deps --target FOLDER speechtokenizer einops
python benchmarks/codecs.py [CODEC ...] [--published FOLDER] [--quick]

Without names all codecs are measured; rows of others are kept if the machine is the same. Models have the published
sizes and equal random weights on both sides, and their outputs must agree before they are timed. The packages are read
from FOLDER, since their names may equal ours. --quick rehearses on little audio and writes no results.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

import speechtokenizer
from benchmarks.common import interleaved, write, written

AGREEMENT = 0.995
"""Least share of codes that both sides must have in common."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Encoding of waveforms (B, 1, samples) to codes and decoding of codes, on one side."""

    encode: Callable[[Tensor], Tensor]
    decode: Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A codec to be measured."""

    sample_rate: int
    ours: Sides
    published: Sides | None
    """The published package's, if available."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Amounts of audio and repetitions."""

    seconds: float = 10.0
    batch: int = 16
    batch_seconds: float = 2.0
    runs: int = 5


QUICK = Load(seconds=1.0, batch=4, batch_seconds=0.5, runs=1)


def foreign(folder: Path, package: str) -> None:
    """Make the modules of a package in `folder` importable as `published_<package>`, without running its __init__."""
    module = ModuleType(f"published_{package}")
    module.__path__ = [str(folder / package)]
    sys.modules[module.__name__] = module
    sys.path.append(str(folder))


def speechtokenizer_codec(folder: Path | None) -> Codec:
    """SpeechTokenizer at its published sizes, and the package of the same name."""
    model = speechtokenizer.SpeechTokenizer(speechtokenizer.SpeechTokenizerConfig()).eval()
    if folder is None:
        return Codec(sample_rate=16000, ours=Sides(encode=model.encode, decode=model.decode), published=None)
    foreign(folder, "speechtokenizer")
    theirs = importlib.import_module("published_speechtokenizer.model").SpeechTokenizer(_CONFIG).eval()
    for layer in theirs.quantizer.vq.layers:
        layer._codebook.embed.normal_(0.0, 0.02)
        layer._codebook.inited.fill_(1)
    model = speechtokenizer.SpeechTokenizer.from_checkpoint(speechtokenizer.published(theirs.state_dict()))
    published = Sides(encode=torch.no_grad()(theirs.encode), decode=torch.no_grad()(theirs.decode))
    return Codec(sample_rate=16000, ours=Sides(encode=model.encode, decode=model.decode), published=published)


_CONFIG = {
    "n_filters": 64, "strides": [8, 5, 4, 2], "dimension": 1024, "semantic_dimension": 768, "bidirectional": True,
    "dilation_base": 2, "residual_kernel_size": 3, "n_residual_layers": 1, "lstm_layers": 2, "activation": "ELU",
    "codebook_size": 1024, "n_q": 8, "sample_rate": 16000,
}  # fmt: skip
"""The published config.json of speechtokenizer_hubert_avg."""

CODECS: dict[str, Callable[[Path | None], Codec]] = {"speechtokenizer": speechtokenizer_codec}
"""Each codec by its name: from the folder of published packages, or None, to the codec."""


def noise(batch: int, seconds: float, sample_rate: int) -> Tensor:
    """Noise (batch, 1, samples)."""
    return 0.1 * torch.randn(batch, 1, int(seconds * sample_rate), generator=torch.Generator().manual_seed(0))


def agreement(codec: Codec, seconds: float) -> dict[str, float]:
    """Share of equal codes, and the largest difference of the decoded audio; SystemExit where the sides differ."""
    if codec.published is None:
        return {}
    wav = noise(1, seconds, codec.sample_rate)
    codes, theirs = codec.ours.encode(wav), codec.published.encode(wav)
    same = float((codes == theirs.to(codes)).double().mean())
    a, b = codec.ours.decode(theirs), codec.published.decode(theirs)
    apart = float((a - b).abs().max() / b.std())
    if same < AGREEMENT or apart > 1e-2:
        raise SystemExit(f"The sides differ: {same:.4f} of the codes are equal, audio differs by {apart:.4f} std.")
    return {"codes_in_common": same, "largest_difference_over_std": apart}


def whole(codec: Codec, load: Load) -> dict[str, Any]:
    """Seconds and real-time factor of encoding and decoding one utterance, on each side."""
    wav = noise(1, load.seconds, codec.sample_rate)
    sides = {"ours": codec.ours} | ({} if codec.published is None else {"published": codec.published})
    codes = codec.ours.encode(wav)
    cases = {f"encode, {name}": partial(side.encode, wav) for name, side in sides.items()}
    cases |= {f"decode, {name}": partial(side.decode, codes) for name, side in sides.items()}
    taken = interleaved(cases, load.runs)
    return {case: {"seconds": t, "real_time_factor": t / load.seconds} for case, t in taken.items()}


def batched(codec: Codec, load: Load) -> dict[str, Any]:
    """Encoding and decoding of a batch, and of its items one at a time."""
    wavs = noise(load.batch, load.batch_seconds, codec.sample_rate)
    codes = codec.ours.encode(wavs)
    ours, items = codec.ours, range(load.batch)
    cases = {
        "encode, batch": partial(ours.encode, wavs),
        "encode, one at a time": lambda: [ours.encode(wavs[i : i + 1]) for i in items],
        "decode, batch": partial(ours.decode, codes),
        "decode, one at a time": lambda: [ours.decode(codes[:, i : i + 1]) for i in items],
    }
    taken = interleaved(cases, max(1, load.runs - 2))
    gain = {way: taken[f"{way}, one at a time"] / taken[f"{way}, batch"] for way in ("encode", "decode")}
    both = sum(taken[f"{way}, one at a time"] for way in gain) / sum(taken[f"{way}, batch"] for way in gain)
    return {
        "items": load.batch,
        "seconds_each": load.batch_seconds,
        "seconds": taken,
        "gain": gain,
        "gain_of_both": both,
    }


def main() -> None:
    """Measure the codecs named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codecs", nargs="*", metavar="CODEC")
    parser.add_argument("--published", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    unknown = set(arguments.codecs) - set(CODECS)
    if unknown:
        parser.error(f"There is no codec {', '.join(sorted(unknown))}. Codecs: {', '.join(CODECS)}.")
    load, results = QUICK if arguments.quick else Load(), written("codecs")
    for name in arguments.codecs or CODECS:
        codec = CODECS[name](arguments.published)
        found = {**agreement(codec, load.batch_seconds), **whole(codec, load), "batch": batched(codec, load)}
        results[name] = {"seconds_of_audio": load.seconds, **found}
    if arguments.quick:
        print(results)
    else:
        write("codecs", results)


if __name__ == "__main__":
    main()
