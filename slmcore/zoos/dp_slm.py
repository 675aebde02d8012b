"""The published files of DP-SLM (arXiv 2505.23494), as the repositories of its first author name them.

Eight hex digits in a name are the first of the file's SHA-256 (torch.hub's convention), and are checked. The names of
the two WavTokenizer files contain such digits too, but their own loader never checked them: they are reported, not
enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slmcore.files.rows import Row

__all__ = ["published_rows"]

_GITHUB = "https://github.com/nicolvisser"
_ENCODER_FILES = _GITHUB + "/WavLM-codebooks/releases/download/v0.1.0"
_ULM_FILES = _GITHUB + "/Mistral-ULM/releases/download/v0.1.0"
_ELLAV_FILES = _GITHUB + "/ELLA-V/releases/download/v0.1.0"

_WAVLM = _ENCODER_FILES + "/wavlm-large-{digits}.pt"
_CODEBOOK = _ENCODER_FILES + "/codebook-layer-11-k-{k}-{digits}.pt"
_ULM = _ULM_FILES + "/mistral-ulm-k-{k}-lmbda-{lmbda}-{variant}-{digits}.pt"
_PLM = _ULM_FILES + "/mistral-plm-hours-1k-steps-10k-{digits}.pt"
_PLM_TOKENIZER = _ULM_FILES + "/us_arpa_tokenizer.json"
_UNITS = _ELLAV_FILES + "/ella-v-wavlm-layer-11-k-{k}-lmbda-{lmbda}-clean-10k-40hz-{digits}.pt"
_PHONES = _ELLAV_FILES + "/ella-v-phonemes-us-arpa-clean-10k-40hz-{digits}.pt"
_CODEC = _GITHUB + "/WavTokenizer/releases/download/v0.1/WavTokenizer_{variant}_{digits}.ckpt"

# Inputs and outputs of a model; frame rates in Hz.
_FEATURES: dict[str, Any] = {"encoder": "wavlm_large", "sample_rate": 16000, "frame_rate": 50.0}
_UNIT_STREAM: dict[str, Any] = {**_FEATURES, "layer": 11}

# Bytes of the published models in float32, from their numbers of parameters: at 0 codes, and per code.
_SIZES = {"wavlm": (1_261_800_000, 0), "codebook": (2_000, 4_096), "ulm": (805_500_000, 8_192)}
_SIZES |= {"ellav": (839_100_000, 8_196), "plm": (805_500_000, 0)}

_WAVLM_LARGE = "WavLM large, Microsoft (arXiv 2110.13900), from nicolvisser/WavLM-codebooks"
_SMALL_CODEC = "WavTokenizer, Ji et al. (arXiv 2408.16532), from nicolvisser/WavTokenizer"

# k, digits
_CODEBOOKS = (
    (100, "8b2b254e"),
    (200, "55b06314"),
    (500, "2c2dee95"),
    (1000, "db31d361"),
    (2000, "af7a6260"),
)

# k, lambda, digits of the unit language model, digits of the acoustic model
_POINTS = (
    (100, 0, "b7a35cc5", "c4686bf9"),
    (100, 600, "17e91718", "1448a9ec"),
    (100, 1500, "6ba3cc55", "6bdae6f8"),
    (100, 3000, "5d0669b5", "6e277bbd"),
    (100, 5000, "0c1af6fe", "90149573"),
    (100, 9000, "92bc9c97", "58352115"),
    (200, 0, "5574c355", "bc26448e"),
    (200, 700, "487bae0c", "32e22dc4"),
    (200, 1500, "8524865e", "7b009e62"),
    (200, 3000, "ac40635d", "8c19612d"),
    (200, 5000, "09a1f87c", "a7d6e988"),
    (200, 7500, "b685aac0", "c6673f9e"),
    (500, 0, "532387cd", "e6f3c91d"),
    (500, 600, "b96bee1d", "9e639ac6"),
    (500, 1500, "853fbee4", "89352a68"),
    (500, 2800, "ef015b7f", "f76d2db5"),
    (500, 4500, "9b75c46e", "3815b3ab"),
    (500, 7000, "886ec1dd", "f0b78c0f"),
    (1000, 0, "56124eaa", "96650d8d"),
    (1000, 600, "810cb2f0", "1505a398"),
    (1000, 1400, "7f014b7e", "98bd66a9"),
    (1000, 2500, "c5cd03ce", "fedea4c6"),
    (1000, 3800, "2c798110", "d286d597"),
    (1000, 6000, "df9e72a7", "5fb405fc"),
)


def published_rows() -> tuple[Row, ...]:
    """Return all rows of the zoo "dp-slm"; the first variant of a kind is its default."""
    wavlm = {"licence": "MIT", "origin": _WAVLM_LARGE, **_FEATURES}
    table = [_row("wavlm", _WAVLM, "6fb4b3c3", facts=wavlm)]
    table += [_row("codebook", _CODEBOOK, digits, k=k, facts=_UNIT_STREAM) for k, digits in _CODEBOOKS]
    table += [_row("ulm", _ULM, ulm, "hours_1k_steps_10k", k, lmbda) for k, lmbda, ulm, _ in _POINTS]
    table += [_row("ulm", _ULM, "09759305", "hours_60k_steps_200k", 500, 4500)]
    table += [_row("plm", _PLM, "6d3a38a9", "us_arpa_hours_1k_steps_10k", facts={})]
    table += [_row("plm_tokenizer", _PLM_TOKENIZER, "", "us_arpa", facts={})]
    table += [_row("ellav", _UNITS, ellav, "units", k, lmbda) for k, lmbda, _, ellav in _POINTS]
    table += [_row("ellav", _PHONES, "e06af002", "phones", facts={"frame_rate": 50.0})]
    return (*table, _codec("small_600_24k_4096", "d44c40fb", 40.0), _codec("small_320_24k_4096", "721a204f", 75.0))


def _row(
    kind: str,
    template: str,
    digits: str,
    variant: str | None = None,
    k: int | None = None,
    lmbda: int | None = None,
    facts: Mapping[str, Any] = _UNIT_STREAM,
) -> Row:
    url = template.format(digits=digits, variant=(variant or "").replace("_", "-"), k=k, lmbda=lmbda)
    origin = url.removeprefix("https://github.com/").split("/releases", maxsplit=1)[0]
    # The paper limits a frame to the nearest 5 % of the codes for all models trained on units.
    neighbors = max(1, int(0.05 * k)) if k is not None and lmbda is not None else None
    point: dict[str, Any] = {"k": k, "lmbda": lmbda, "num_neighbors": neighbors}
    fixed, per_code = _SIZES.get(kind, (None, 0))
    size = None if fixed is None else fixed + per_code * (k or 0)
    about: dict[str, Any] = {"sha256": digits, "origin": origin, "size": size, **facts}
    default = k == 500 and lmbda in (None, 4500)
    return Row(zoo="dp-slm", default=default, kind=kind, variant=variant, url=url, **point, **about)


def _codec(variant: str, digits: str, frame_rate: float) -> Row:
    url = _CODEC.format(variant=variant, digits=digits)
    contract: dict[str, Any] = {"sample_rate": 24000, "frame_rate": frame_rate}
    about: dict[str, Any] = {"claimed": digits, "licence": "MIT", "origin": _SMALL_CODEC}
    return Row(zoo="dp-slm", kind="wavtokenizer", variant=variant, url=url, **contract, **about)
