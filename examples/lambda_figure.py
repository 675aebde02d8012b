"""Units of a recording at five lambdas: `python examples/lambda_figure.py [--wav FILE] [--png FILE]`.

Lambda = 0 takes the nearest code of every frame; the larger lambda is, the longer a unit lasts. Needs no download: the
demo zoo's encoder and codebook are used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from dpdp import fit_lmbda, sweep
from slmcore import audio
from slmcore.units import Units
from slmzoo.figures import spectrogram
from slmzoo.systems import dp_slm

ROOT = Path(__file__).parents[1]
RATES = (20.0, 15.0, 12.5, 9.0)


def main() -> None:
    """Read the arguments, find the units and draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wav", type=Path, default=ROOT / "examples" / "sample.wav", help="speech")
    parser.add_argument("--png", type=Path, default=ROOT / "docs" / "lambda.png", help="where the picture goes")
    options = parser.parse_args()
    wav, sr = audio.read(options.wav)
    encoder, _ = dp_slm.wavlm(zoo="demo")
    codebook = dp_slm.load_codebook(zoo="demo")
    layer = codebook.operating_point.layer if codebook.operating_point else None
    with torch.inference_mode():
        features = encoder.features(audio.mono(wav), sr, layer)
    neighbors = max(1, len(codebook.codes) // 5)
    lmbdas = [0.0] + [fit_lmbda(features, codebook.codes, rate, num_neighbors=neighbors) for rate in RATES]
    draw(wav, sr, lmbdas, sweep(features, codebook.codes, lmbdas, neighbors), len(codebook.codes), options.png)


def draw(wav: torch.Tensor, sr: int, lmbdas: list[float], found: list[Units], k: int, path: Path) -> None:
    """The spectrogram, and under it a strip for each lambda in which every unit has its colour."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    colours = colormaps["turbo"](torch.randperm(k, generator=torch.Generator().manual_seed(1)).numpy() / k)
    figure = Figure(figsize=(11, 5.5), dpi=120, layout="constrained")
    axes = figure.subplots(len(found) + 1, 1, sharex=True, height_ratios=[3] + [1] * len(found))
    seconds = wav.shape[1] / sr
    axes[0].imshow(spectrogram(wav, sr).numpy(), origin="lower", aspect="auto", extent=(0, seconds, 0, 8), cmap="magma")
    axes[0].set_ylabel("kHz")
    for panel, lmbda, units in zip(axes[1:], lmbdas, found, strict=True):
        edges = units.boundaries()
        panel.bar(edges[:-1], 1, edges.diff(), align="edge", color=colours[units.units], edgecolor="white", lw=0.6)
        panel.set(ylim=(0, 1), yticks=[])
        panel.set_ylabel(
            f"λ = {lmbda:.0f}\n{len(units) / units.seconds:.1f} /s", rotation=0, ha="right", va="center", fontsize=9
        )
    axes[-1].set(xlim=(0, seconds), xlabel="seconds")
    figure.savefig(path)


if __name__ == "__main__":
    main()
