"""slmzoo for torch.hub: every model of the zoo by (k, lambda), and whole pipelines; see `slmzoo/entry_points`.

All entry points also take

- `zoo`: "dp-slm" (the published models, the default), "demo" (small weights that come with this repository) or a zoo of
  your own (`registry=` or SLMZOO_REGISTRY: a JSON file with its rows);
- `checkpoint`: a local file, a URL or hf://owner/repo/file in place of the table's: a `.pt` or `.ckpt` in the published
  format, or a `.safetensors` of the project. k and lmbda may then be left out;
- `map_location`: where the weights go, "cpu" by default; and `progress`: whether a download shows a bar.

A (k, lmbda) without a trained model raises a ValueError that lists the valid ones.
"""

from __future__ import annotations

import re as _re
import sys as _sys
from pathlib import Path as _Path

dependencies = ["torch", "torchaudio", "numpy", "safetensors", "requests", "filelock", "tqdm"]

_PACKAGES = (
    "slmcore",
    "slmzoo",
    "wavlm_codebooks",
    "dpdp",
    "mistral_ulm",
    "ellav",
    "wavtokenizer",
    "speechtokenizer",
    "soundstream",
    "gslm",
    "twist",
)


def _guard() -> None:
    """Refuse packages of our names from another repository, which hub would mix silently with ours."""

    def version(root: _Path) -> str | None:
        file = root / "slmzoo" / "__init__.py"
        found = _re.search(r'__version__ = "(.+)"', file.read_text(encoding="utf-8")) if file.is_file() else None
        return found[1] if found else None

    here = _Path(__file__).resolve().parent
    for name in _PACKAGES:
        package = _sys.modules.get(name)
        paths = [_Path(path).resolve() for path in getattr(package, "__path__", [])]
        if package is None or here in [path.parent for path in paths]:
            continue
        if here in paths and getattr(package, "__file__", None) is None:
            # Imported from the folder above: Python took this clone for a package, an empty one of the same name.
            del _sys.modules[name]
            continue
        if not paths or version(paths[0].parent) != version(here):
            where = paths[0] if paths else getattr(package, "__file__", "unknown place")
            raise ImportError(
                f"The package {name!r} is already imported from {where}, which is not this slmzoo. Python keeps one "
                "package of a name: start a new process, and load slmzoo before or without the other repository."
            )


_guard()

from slmzoo.entry_points.codecs import soundstream, speechtokenizer, uslm  # noqa: E402
from slmzoo.entry_points.dp_slm import (  # noqa: E402
    codebook,
    dpdp_quantizer,
    dpdp_quantizer_from_codebook,
    ellav_phones_to_wavtokenizer,
    ellav_units_to_wavtokenizer,
    plm_us_arpa_hours_1k_steps_10k,
    small_320_24k_4096,
    small_600_24k_4096,
    ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k,
    ulm_wavlm_layer_11_dpdp_hours_60k_steps_200k,
    wavlm_large,
)
from slmzoo.entry_points.gslm import (  # noqa: E402
    cpc_big,
    gslm_codebook,
    gslm_tacotron,
    gslm_ulm,
    hubert_base,
    log_mel,
    wav2vec2_large,
    waveglow,
)
from slmzoo.entry_points.pipeline import pipeline  # noqa: E402
from slmzoo.entry_points.twist import mhubert_base_25hz, twist_codebook, twist_ulm, unit_hifigan  # noqa: E402

__all__ = [
    "codebook",
    "cpc_big",
    "dpdp_quantizer",
    "dpdp_quantizer_from_codebook",
    "ellav_phones_to_wavtokenizer",
    "ellav_units_to_wavtokenizer",
    "gslm_codebook",
    "gslm_tacotron",
    "gslm_ulm",
    "hubert_base",
    "log_mel",
    "mhubert_base_25hz",
    "pipeline",
    "plm_us_arpa_hours_1k_steps_10k",
    "small_320_24k_4096",
    "small_600_24k_4096",
    "soundstream",
    "speechtokenizer",
    "twist_codebook",
    "twist_ulm",
    "ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k",
    "ulm_wavlm_layer_11_dpdp_hours_60k_steps_200k",
    "unit_hifigan",
    "uslm",
    "wav2vec2_large",
    "waveglow",
    "wavlm_large",
]
