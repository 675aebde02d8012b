"""The published files of TWIST (arXiv 2305.13009), and the unit vocoders of Expresso and of speech translation.

Digests are those that textlesslib states. Where it states none, none is enforced: the first download is recorded, and
later ones must equal it. A unit vocoder is three or four files: weights, config.json, and names of speakers and styles.
"""

from __future__ import annotations

from typing import Any

from slmcore.files.rows import Row

__all__ = ["published_rows"]

_FILES = "https://dl.fbaipublicfiles.com"
_TWIST = _FILES + "/textless_nlp/twist"
_TOKENIZER = _TWIST + "/speech_tokenizer/"
_MHUBERT = "mhubert_base_25hz_cp_mls_cv_sp_fisher"
_EXPRESSO = _FILES + "/textless_nlp/expresso/checkpoints/hifigan_expresso_lj_vctk_"
_SPEECH_TO_SPEECH = _FILES + "/fairseq/speech_to_speech/vocoder/code_hifigan/"
_WITH_DURATIONS = "http://dl.fbaipublicfiles.com/fairseq/vocoder/unit_hifigan_"

_ORIGIN = "TWIST, Hassid et al. (arXiv 2305.13009)"
_UNITS: dict[str, Any] = {"encoder": "mhubert_base_25hz", "layer": 11, "frame_rate": 25.0, "sample_rate": 16000}
_K = 500
_MODELS = ("350M", "1.3B", "7B")

_EXPRESSO_CONFIGS = (
    "31e65ef5e100cb43de08f2c8d225496ace1ed87a49fcb8ee44bd6805f079b1f0",
    "73932563cedc43cd1dcddfab36ce3b2c3cb76eef3423d25d1fb536ce1ec513bb",
)
_SPEAKERS = "2efabb7a4ad786da34fe6fbe99c3906b7abd40b2e01c81b7efde76142ae3d552"
_STYLES = "a6f63206518448277c63c3a251ac13484784829cf2e1b0a23b0860dd32543520"

# folder, k, encoder, layer, which config, digits of the weights
_OF_EXPRESSO = (
    (
        "hubert_base_ls960_L9_km500",
        500,
        "hubert_base_ls960",
        9,
        0,
        "d50f4704e961c29cb386924ef32cd0c3a4d1089a3f9be856f8a3b6dcfdd6147a",
    ),
    (
        "hubert_base_ls960_L9_km2000_expresso",
        2000,
        "hubert_base_ls960",
        9,
        1,
        "b892fdcca889f4bc6d7f0a0f407ae5d01eca8aaa66b9be333ef33a1c50f2ef52",
    ),
    (
        "mhubert_base_vp_mls_cv_8lang_it3_L12_km2000",
        2000,
        "mhubert_base_vp_mls_cv_8lang_it3",
        12,
        1,
        "0d160c97519d3ed644e2ec636581b79e56767d60325308849fbb389a494c1466",
    ),
    (
        "mhubert_base_vp_mls_cv_8lang_it3_L12_km2000_expresso",
        2000,
        "mhubert_base_vp_mls_cv_8lang_it3",
        12,
        1,
        "8d1585f20edd9b0982f80acbb387a892adf19e4aa719b8dea795c8fa96285cbc",
    ),
)

# folder, k, encoder, layer
_OF_TRANSLATION = (
    ("hubert_base_100_lj", 100, "hubert_base_ls960", 6),
    ("mhubert_vp_en_es_fr_it3_400k_layer11_km1000_lj", 1000, "mhubert_vp_en_es_fr_it3_400k", 11),
    ("mhubert_vp_en_es_fr_it3_400k_layer11_km1000_es_css10", 1000, "mhubert_vp_en_es_fr_it3_400k", 11),
    ("mhubert_vp_en_es_fr_it3_400k_layer11_km1000_fr_css10", 1000, "mhubert_vp_en_es_fr_it3_400k", 11),
)

# name of the archive, k, encoder, layer
_IN_ARCHIVES = (
    ("mhubert_vp_en_es_fr_it3_400k_layer11_km1000_lj_dur", 1000, "mhubert_vp_en_es_fr_it3_400k", 11),
    ("mhubert_vp_en_es_fr_it3_400k_layer11_km1000_es_css10_dur", 1000, "mhubert_vp_en_es_fr_it3_400k", 11),
    ("HK_layer12.km2500_frame_TAT-TTS", 2500, "HK", 12),
)


def published_rows() -> tuple[Row, ...]:
    """Return all rows of the zoo "twist"; the first variant of a kind is its default."""
    return (*_encoder(), *_language_models(), *_vocoder(), *_expresso(), *_translation())


def _encoder() -> list[Row]:
    weights = "edf0f5be2581a568a236aeb2781a5607c5af25806e12f40f7f2391e861fe3cf0"
    centres = "03cc04a9c24fec4285e73e709c485756d8f116aa8e724eac555de6a7cf8d28ad"
    encoder = {**_UNITS, "layer": None}
    return [
        _row("mhubert", f"{_TOKENIZER}{_MHUBERT}.pt", weights, **encoder),
        _row("codebook", f"{_TOKENIZER}{_MHUBERT}_L11_km{_K}.bin", centres, k=_K, default=True, **_UNITS),
    ]


def _language_models() -> list[Row]:
    point = {"k": _K, "lmbda": 0.0, "num_neighbors": _K, **_UNITS}
    own = [
        _row("twist_ulm", f"{_TWIST}/lms/TWIST-{name}.zip", "", name, default=name == _MODELS[0], **point)
        for name in _MODELS
    ]
    about = {"origin": "slamkit, Maimon et al. (arXiv 2502.15814)", "licence": "MIT"}
    others = [
        _row(kind, f"hf://slprl/{name}/{file}", "", name, size=size, **about, **point)
        for name in ("slam", "slam_scaled")
        for kind, file, size in (
            ("twist_ulm", "model.safetensors", 1_430_000_000),
            ("twist_ulm_config", "config.json", None),
        )
    ]
    return [*own, *others]


def _vocoder() -> list[Row]:
    weights = "d88224e95c501e2cd59a6e4014753169cfe060fb7ade3cc0da03c809fef73b79"
    config = "116dc39be4970cd393e562acd0a0ec70a86aaba7e9ca469b8b836cb3fe46afc7"
    name = "lj_mhubert_base_25hz"
    point = {"k": _K, "lmbda": 0.0, "num_neighbors": _K, **_UNITS}
    return [
        _row("unit_hifigan", f"{_TOKENIZER}hifigan_{name}.pt", weights, name, **point),
        _row("unit_hifigan_config", f"{_TOKENIZER}hifigan_{name}_config.json", config, name, **point),
    ]


def _expresso() -> list[Row]:
    made = []
    for folder, k, encoder, layer, config, digits in _OF_EXPRESSO:
        files = (
            ("unit_hifigan", "generator.pt", digits),
            ("unit_hifigan_config", "config.json", _EXPRESSO_CONFIGS[config]),
            ("unit_hifigan_speakers", "speakers.txt", _SPEAKERS),
            ("unit_hifigan_styles", "styles.txt", _STYLES),
        )
        point = _at_50_hertz(k, encoder, layer, "Expresso, Nguyen et al. (arXiv 2308.05725)")
        variant = f"expresso_{folder}"
        made += [_row(kind, f"{_EXPRESSO}{folder}/{file}", sha256, variant, **point) for kind, file, sha256 in files]
    return made


def _translation() -> list[Row]:
    made = []
    for folder, k, encoder, layer in _OF_TRANSLATION:
        point = _at_50_hertz(k, encoder, layer, "fairseq, Lee et al. (arXiv 2107.05604)")
        for kind, file in (("unit_hifigan", "g_00500000"), ("unit_hifigan_config", "config.json")):
            made.append(_row(kind, f"{_SPEECH_TO_SPEECH}{folder}/{file}", "", folder, **point))
    for name, k, encoder, layer in _IN_ARCHIVES:
        point = _at_50_hertz(k, encoder, layer, "fairseq, Lee et al. (arXiv 2112.08352)")
        made.append(_row("unit_hifigan", f"{_WITH_DURATIONS}{name}.tar.gz", "", name, **point))
    return made


def _at_50_hertz(k: int, encoder: str, layer: int, origin: str) -> dict[str, Any]:
    point = {"k": k, "lmbda": 0.0, "num_neighbors": k, "encoder": encoder, "layer": layer}
    return {**point, "frame_rate": 50.0, "sample_rate": 16000, "origin": origin}


def _row(kind: str, url: str, digits: str, variant: str | None = None, **about: Any) -> Row:
    """One row; the models read the nearest code of each frame without repeats, which is DPDP at lambda 0."""
    return Row(
        zoo="twist", system="twist", kind=kind, variant=variant, url=url, sha256=digits, **{"origin": _ORIGIN, **about}
    )
