"""Train the demo's codec: one voice, 16 kHz, 512 codes at 40 Hz.

    python -m slmzoo.recipes.demo.codec --data DIR --runs DIR

Reads DIR/wavs/train/slt/*.wav, goes on where an earlier run stopped, and writes RUNS/wavtokenizer.safetensors.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from slmcore.checkpoint import save
from slmzoo.training.codec import CodecObjective, CodecTrainer
from slmzoo.training.loop import Schedule, fit
from wavtokenizer import WavTokenizer, WavTokenizerConfig

__all__ = ["CONFIG", "OBJECTIVE", "SCHEDULE", "main"]

logger = logging.getLogger(__name__)
VOICE = "slt"
CONFIG = WavTokenizerConfig(
    sample_rate=16000,
    strides=(5, 5, 4, 4),
    n_filters=8,
    dimension=32,
    codebook_size=512,
    decoder_dim=96,
    decoder_intermediate=288,
    decoder_layers=6,
    n_fft=1600,
)
OBJECTIVE = CodecObjective(batch=10, freeze_front_from=1600, freeze_from=3200)
SCHEDULE = Schedule(steps=7500, lr=1e-3, final_lr=2e-5)


def main(argv: list[str] | None = None) -> None:
    """Train, or go on training, and write the weights in half precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the training runs")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO)
    torch.manual_seed(OBJECTIVE.seed)
    wavs = _wavs(args.data / "wavs" / "train" / VOICE)
    codec = WavTokenizer(CONFIG)
    trainer = CodecTrainer(codec, wavs, OBJECTIVE)
    fit(trainer, trainer.loss, SCHEDULE, args.runs / "codec")
    hours = sum(len(wav) for wav in wavs) / CONFIG.sample_rate / 3600
    provenance = {
        "recipe": "slmzoo.recipes.demo.codec",
        "data": f"{hours:.2f} hours of one synthetic voice (flite {VOICE})",
        "steps": str(SCHEDULE.steps),
        "note": "A demo, small and briefly trained: its figures are not those of the published WavTokenizer.",
    }
    save(args.runs / "wavtokenizer.safetensors", codec.checkpoint(provenance), torch.float16)


def _wavs(folder: Path) -> list[Tensor]:
    """The recordings of a folder as int16 (samples,), in the order of their names, without those under a crop."""
    paths = sorted(folder.glob("*.wav"))
    wavs = [torch.from_numpy(soundfile.read(path, dtype="int16")[0]) for path in paths]
    kept = [wav for wav in wavs if len(wav) >= OBJECTIVE.crop]
    logger.info("%d of %d recordings are long enough", len(kept), len(wavs))
    return kept


if __name__ == "__main__":
    main()
