"""TWIST's parts on a CPU at their published sizes, with random weights, compared with other implementations.

    python benchmarks/twist.py [--parts mhubert vocoder lm] [--threads 2] [--runs 3]

mHuBERT on 30 s against `transformers`; the unit vocoder against a plain module of the same structure, in float32 and in
bfloat16, one utterance of 10 s and eight of 2 s; 200 new units by the 350M language model against the `generate` of
`transformers`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import common
from benchmarks.common import interleaved
from slmcore.units import Units
from twist import TwistLM, UnitVocoder, VocoderConfig, mhubert

SECONDS, NEW_UNITS, PROMPT = 30, 200, 40
BASE_SIZES = {"conv_dim": [512] * 8, "conv_kernel": [10, 3, 3, 3, 3, 2, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2, 2]}
OPT_350M = {
    "vocab_size": 502, "hidden_size": 1024, "num_hidden_layers": 24, "ffn_dim": 4096, "num_attention_heads": 16,
    "max_position_embeddings": 2048, "word_embed_proj_dim": 512, "do_layer_norm_before": False, "pad_token_id": 1,
    "bos_token_id": 0, "eos_token_id": None,
}  # fmt: skip


def of_mhubert(runs: int) -> dict[str, float]:
    """Seconds for 30 s of audio, and the distance of the features."""
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    config = HubertConfig(**BASE_SIZES, num_feat_extract_layers=8, conv_pos_batch_norm=True)
    theirs = HubertModel(config).eval()
    with TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = mhubert.load(folder)
    wav = 0.1 * torch.randn(1, SECONDS * 16000)

    @torch.no_grad()
    def reference() -> Tensor:
        return theirs(wav, output_hidden_states=True).hidden_states[11][0]

    def own() -> Tensor:
        return ours.features(wav, 16000)

    apart = (own() - reference()).abs().max() / reference().std()
    return {**interleaved({"transformers": reference, "slmzoo": own}, runs), "largest_difference_in_std": float(apart)}


class Plain(nn.Module):
    """A generator as in the paper, layer by layer, with our weights."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.ours, self.slope = ours, 0.1

    def forward(self, x: Tensor) -> Tensor:
        """Frames (B, channels, T) to waveforms (B, samples)."""
        x = self.ours.conv_pre(x)
        for up, blocks in zip(self.ours.ups, self.ours.resblocks, strict=True):
            x = up(leaky_relu(x, self.slope))
            x = sum(self._block(block, x) for block in blocks) / len(blocks)
        return torch.tanh(self.ours.conv_post(leaky_relu(x))).squeeze(1)

    def _block(self, block: Any, x: Tensor) -> Tensor:
        for first, second in zip(block.convs1, block.convs2, strict=True):
            x = second(leaky_relu(first(leaky_relu(x, self.slope)), self.slope)) + x
        return x


def of_vocoder(runs: int) -> dict[str, Any]:
    """Seconds for 10 s of speech in one utterance, and for eight of up to 2 s; distances in standard deviations."""
    torch.manual_seed(0)
    ours = UnitVocoder(VocoderConfig(num_units=500, duration_width=128)).eval()
    half = UnitVocoder(ours.config).eval()
    half.load_state_dict(ours.state_dict())
    half.to(torch.bfloat16)
    plain = Plain(ours.generator)
    long = Units(torch.randint(500, (250,)), torch.full((250,), 2), 50.0)
    short = [Units(torch.randint(500, (50 - i,)), torch.full((50 - i,), 2), 50.0) for i in range(8)]
    none = torch.zeros(1, dtype=torch.int64)

    @torch.no_grad()
    def reference() -> Tensor:
        embedded = ours.frames.units(long.framewise()[None])
        return plain(ours.frames(embedded, None, none, none))[0]

    cases = {
        "plain": reference,
        "float32": lambda: ours.speak([long])[0].wav[0],
        "bfloat16": lambda: half.speak([long])[0].wav[0],
        "eight_alone": lambda: [ours.speak([each]) for each in short],
        "eight_together": lambda: ours.speak(short),
    }
    wavs = {name: cases[name]() for name in ("plain", "float32", "bfloat16")}
    spread = wavs["plain"].std()
    together = zip(ours.speak(short), (ours.speak([each])[0] for each in short), strict=True)
    apart = {
        "float32_rms": float((wavs["float32"] - wavs["plain"]).square().mean().sqrt() / spread),
        "bfloat16_rms": float((wavs["bfloat16"] - wavs["plain"]).square().mean().sqrt() / spread),
        "together_largest": float(max((a.wav - b.wav).abs().max() for a, b in together) / spread),
    }
    return {**interleaved(cases, runs), "apart_in_std": apart, "seconds_of_speech": long.seconds}


def of_language_model(runs: int) -> dict[str, Any]:
    """Seconds for 200 new units after 40; whether the greedy units are the same."""
    from transformers import OPTConfig, OPTForCausalLM

    torch.manual_seed(0)
    theirs = OPTForCausalLM(OPTConfig(**OPT_350M, init_std=0.05)).eval()
    with TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        file = Path(folder) / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "offset": 2}))
        ours, rounded = TwistLM.from_pretrained(folder), TwistLM.from_pretrained(folder)
    rounded.quantize("int8")
    prompt = torch.randint(500, (PROMPT,))

    @torch.no_grad()
    def reference() -> Tensor:
        ids = prompt[None] + 2
        made = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW_UNITS,
            min_new_tokens=NEW_UNITS,
            do_sample=False,
        )
        return made[0, PROMPT:] - 2

    def own(model: TwistLM) -> Tensor:
        return model.generate([prompt], NEW_UNITS, temperature=0.0, min_new_units=NEW_UNITS).units[0]

    same = torch.equal(own(ours)[:20], reference()[: len(own(ours)[:20])])
    cases = {"transformers": reference, "float32": lambda: own(ours), "int8": lambda: own(rounded)}
    return {**interleaved(cases, runs, warm_up=0), "first_20_units_equal": same}


PARTS = {"mhubert": of_mhubert, "vocoder": of_vocoder, "lm": of_language_model}


def main() -> None:
    """Run the parts and write benchmarks/results/twist-cpu.json, keeping other parts of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    before = common.written("twist")
    common.write("twist", {**before, **{part: PARTS[part](chosen.runs) for part in chosen.parts}})


if __name__ == "__main__":
    main()
