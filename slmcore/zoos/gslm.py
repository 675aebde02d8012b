"""The published files of GSLM (arXiv 2102.01192), by features and number of units.

Digests are those that textlesslib states. Where it states none, none is enforced: the first download is recorded, and
later ones must equal it.
"""

from __future__ import annotations

from typing import Any

from slmcore.files.rows import Row

__all__ = ["published_rows"]

_FILES = "https://dl.fbaipublicfiles.com"
_BASE = _FILES + "/textless_nlp/gslm"
_CODEBOOK = _BASE + "/{features}/km{k}/km.bin"
_ULM = _BASE + "/{features}/lm_km{k}/{name}{k}_lm.tgz"
_TTS = _BASE + "/{features}/tts_km{k}/"
_ORIGIN = "GSLM, Lakhotia et al. (arXiv 2102.01192)"
_WAVEGLOW = _BASE + "/waveglow_256channels_standalone.pt"
_WAVEGLOW_DIGITS = "f383c7fd785502fc6a6bffd604fc14cb35d6155cdde30c53faaaeafa8a904dab"

# Features that units are made of; layers count from 1, frame rates in Hz.
_FEATURES: dict[str, dict[str, Any]] = {
    "hubert": {"encoder": "hubert_base", "layer": 6, "frame_rate": 50.0},
    "cpc": {"encoder": "cpc_big", "layer": 2, "frame_rate": 100.0},
    "w2v2": {"encoder": "wav2vec2_large", "layer": 15, "frame_rate": 50.0},
    "logmel": {"encoder": "log_mel", "frame_rate": 100.0},
}
_SIZES = (50, 100, 200)

# features, kind, URL, digits, who made it
_ENCODERS = (
    (
        "hubert",
        "hubert",
        _FILES + "/hubert/hubert_base_ls960.pt",
        "1703cf8d2cdc76f8c046f5f6a9bcd224e0e6caf4744cad1a1f4199c32cac8c8d",
        "HuBERT base, Hsu et al. (arXiv 2106.07447)",
    ),
    (
        "cpc",
        "cpc",
        _BASE + "/cpc/cpc_big_ll6kh_top_ctc.pt",
        "73155dad5d7c986fe7b7f548050060a8e9cc9a0ffd111a22932f38c3e617c5b8",
        "CPC-big, Rivière et al. (arXiv 2002.02848, 2012.12115), from GSLM",
    ),
    (
        "w2v2",
        "wav2vec2",
        _FILES + "/fairseq/wav2vec/wav2vec_vox_new.pt",
        "",
        "wav2vec 2.0 large, Baevski et al. (arXiv 2006.11477)",
    ),
    (
        "logmel",
        "log_mel",
        "package://gslm/log_mel.safetensors",
        "19945be737da6d5048cfc5a6ab216bdf29e0fee3991bc860f4457fd617f8958b",
        "settings of Kaldi's filter banks, from slmzoo",
    ),
)

# features, k, digits
_CODEBOOKS = (
    ("cpc", 50, "c48be5717aebc08169aa5165d58267449b8c8568624a346bb9f4b26eac3b0240"),
    ("cpc", 100, "077b96e010b1e87be627ef2bef0f5e5cdaa1c01722aa363b2dc0bb6a638e8b26"),
    ("cpc", 200, "2d863d1c6f251d19e667998248c87642ecb5e3ffaa410e9ebfa64341db4f6de2"),
    ("cpc", 500, "35398f665dff06801a7bf1e595bc176711ed751d554e64d999dc42f1dd106561"),
    ("hubert", 50, "d01a7d5bc2c54b7b5f25f321ba525b4d230b06e3927f90bad0394198bc89f494"),
    ("hubert", 100, "f14a3104615485381fc489701d6761c9abbdbb0d43607cf55518a1e2891023fe"),
    ("hubert", 200, "b3c46c9cdd1707ad852dd53c359aa73942e79d53c432a9a8a419ed046408024b"),
    ("hubert", 500, "411c8668e1314751404f58636f935fc73540a6793890435da4a8ffadf157398e"),
    *((features, k, "") for features in ("w2v2", "logmel") for k in _SIZES),
)
_LAYER_9 = _FILES + "/hubert/hubert_base_ls960_L9_km500.bin"
_LAYER_9_DIGITS = "4450dcbc90aa7d0553306a4b0fafef35c9b3c840468f02969273dfbb9db89a23"

# features, k, digits of the Tacotron, digits of its code_dict
_SPEAKERS = (
    (
        "hubert",
        50,
        "335e881a897cfa3389804110de8ac3909159d4de395880fbf1d3167a9477451e",
        "5f01dd57fd3b4044fac93aaac2589bf49e34cbe1dc0713254c0f339ba2123bce",
    ),
    (
        "hubert",
        100,
        "b208f8d6433eb5524405aa29d2b5fdacddb63a182d9830b629232e63b3543e4d",
        "6d506216aa5bad159f167e2535293b4e5ec8e1073b64449d30b66b460ebf6da0",
    ),
    (
        "hubert",
        200,
        "093f009935a4dadd692db85e859246e369cb17be3aecd22038fb70af4d5b0590",
        "ea01ba3592e27c871b63b32e37d6532234edf7eee7077bdcc094061ee72922e6",
    ),
    (
        "cpc",
        50,
        "e80a46561d1ded73bbe6e7272fcd6b9943fb7607229040b06324f654b66396fd",
        "5f01dd57fd3b4044fac93aaac2589bf49e34cbe1dc0713254c0f339ba2123bce",
    ),
    (
        "cpc",
        100,
        "6cfe1ce4bbdfd0f531189f4013cefc9e1296aec62f8bc0172d68d088ab344a50",
        "a343085a83c1acfc96a2bfecf5098b380e860cdbb832cbcbbb0bf1358bd7c932",
    ),
    (
        "cpc",
        200,
        "5845b1c0a82d9176b9d8c33a32f098795c946077e741a9da2b665bafda17b7ff",
        "48dae50f9f2d4561c4a84fa09ba748395808d7d3323b1d5754af71669117e2aa",
    ),
    *((features, k, "", "") for features in ("w2v2", "logmel") for k in _SIZES),
)

# MD5 sums of Tacotrons without other digits, as GSLM's README states them.
_CLAIMED = {
    ("logmel", 50): "MD5 932b3b8527c0125f5f964b57762eba49",
    ("logmel", 100): "MD5 cde0b0d278a39011d0acbd5df27abdf4",
    ("logmel", 200): "MD5 dba0f1d4de64bc7976718834010b23e7",
    ("w2v2", 50): "MD5 e3503d0ad822b2c24b89f68b857fedff",
    ("w2v2", 100): "MD5 eb3666e456ae4c96bf2a1eec825c13ed",
    ("w2v2", 200): "MD5 777d343e963c4d64f04d78eef032f4e8",
}

# Prompts of LibriSpeech, their true continuations, and the lexicon of GSLM's recogniser.
_EVALUATION = {
    "dev_prompts": "dev_prompts.tgz",
    "test_prompts": "test_prompts.tgz",
    "dev_continuations": "ground_truth_continuation_dev.json",
    "test_continuations": "ground_truth_continuation_test.json",
    "lexicon": "lexicon_ltr.lst",
}


def published_rows() -> tuple[Row, ...]:
    """Return all rows of the zoo "gslm"; a variant is the name of the features."""
    table = [_encoder(*each) for each in _ENCODERS]
    table += [
        _codebook(features, k, _CODEBOOK.format(features=features, k=k), digits) for features, k, digits in _CODEBOOKS
    ]
    table.append(_codebook("hubert", 500, _LAYER_9, _LAYER_9_DIGITS, layer=9))
    table += [_ulm(features, k) for features in _FEATURES for k in _SIZES]
    for features, k, tacotron, codes in _SPEAKERS:
        folder = _TTS.format(features=features, k=k)
        claimed = _CLAIMED.get((features, k), "")
        table.append(_row("gslm_tacotron", folder + "tts_checkpoint_best.pt", tacotron, features, k, claimed))
        table.append(_row("gslm_codes", folder + "code_dict", codes, features, k))
    about: dict[str, Any] = {"sample_rate": 22050, "origin": "WaveGlow, NVIDIA (arXiv 1811.00002), from GSLM"}
    waveglow = Row(zoo="gslm", system="gslm", kind="waveglow", url=_WAVEGLOW, sha256=_WAVEGLOW_DIGITS, **about)
    return (*table, waveglow, *(_evaluation(variant, file) for variant, file in _EVALUATION.items()))


def _encoder(features: str, kind: str, url: str, digits: str, origin: str) -> Row:
    known = _FEATURES[features]
    about: dict[str, Any] = {"encoder": known["encoder"], "frame_rate": known["frame_rate"], "sample_rate": 16000}
    return Row(zoo="gslm", system="gslm", kind=kind, variant=features, url=url, sha256=digits, origin=origin, **about)


def _evaluation(variant: str, file: str) -> Row:
    url = f"{_BASE}/eval_data/{file}"
    return Row(zoo="gslm", system="gslm", kind="gslm_evaluation", variant=variant, url=url, origin=_ORIGIN)


def _codebook(features: str, k: int, url: str, digits: str, **layer: int) -> Row:
    about: dict[str, Any] = {"sha256": digits, "origin": _ORIGIN, **_FEATURES[features], **layer}
    return Row(zoo="gslm", system="gslm", kind="gslm_codebook", variant=features, url=url, k=k, **about)


def _ulm(features: str, k: int) -> Row:
    name = "w2v2_" if features == "w2v2" else features
    return _row("gslm_ulm", _ULM.format(features=features, k=k, name=name), "", features, k)


def _row(kind: str, url: str, digits: str, features: str, k: int, claimed: str = "") -> Row:
    """One row; the models read the nearest code of each frame without repeats, which is DPDP at lambda 0."""
    point: dict[str, Any] = {"k": k, "lmbda": 0.0, "num_neighbors": k, **_FEATURES[features]}
    about: dict[str, Any] = {"sha256": digits, "claimed": claimed, "origin": _ORIGIN}
    default = (features, k) == ("hubert", 100)
    return Row(zoo="gslm", system="gslm", kind=kind, variant=features, url=url, default=default, **point, **about)
