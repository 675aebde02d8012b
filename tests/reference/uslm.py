"""A USLM of a few weights over the small SpeechTokenizer's codes, as a zoo, also in the published format."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path

import torch

from speechtokenizer.uslm import USLM, PhoneTokenizer, USLMConfig
from tests.reference import goldens
from tests.reference.codec_files import speechtokenizer_folder
from tests.reference.recipe import recipe_tensor

CONSONANTS = "b d f h j k l m n p s t v w z ð ɡ ɹ ʃ"  # noqa: RUF001
VOWELS = "a e i iː uː oʊ aɪ eɪ ɐ ə ɚ ɛ ɪ ɔː ɜː ɑː æ ʌ"  # noqa: RUF001
SYMBOLS = ("_", ".", ",", "!", "?", *CONSONANTS.split(), *VOWELS.split())
_NAMES = (
    (".text.weight", "_text_embedding.word_embeddings.weight"),
    ("nar.audio.", "nar_audio_embeddings."),
    ("ar.audio.weight", "ar_audio_embedding.word_embeddings.weight"),
    (".text_scale", "_text_position.alpha"),
    (".audio_scale", "_audio_position.alpha"),
    ("ar.stack.", "ar_decoder."),
    ("ar.output.weight", "ar_predict_layer.weight"),
    ("nar.outputs.", "nar_predict_layers."),
    ("attention.qkv.", "self_attn.in_proj_"),
    ("attention.out.", "self_attn.out_proj."),
    (".up.", ".linear1."),
    (".down.", ".linear2."),
    (".project.", ".project_layer."),
)


def tiny(levels: int = 4, size: int = 64, **changes) -> USLM:
    """A model with weights by the recipe, three times as large, and a table of phones."""
    sizes = {"dim": 16, "heads": 2, "layers": 2, "nar_dim": 16, "nar_heads": 2, "nar_layers": 1, "text_size": 64}
    config = USLMConfig(**{**sizes, "num_codebooks": levels, "codebook_size": size, **changes})
    model = USLM(config, PhoneTokenizer(SYMBOLS)).eval()
    model.load_state_dict({name: 3 * recipe_tensor(name, tuple(v.shape)) for name, v in model.state_dict().items()})
    return model


def published(model: USLM) -> dict[str, torch.Tensor]:
    """The model's state by vall-e's names."""
    state: dict[str, torch.Tensor] = {}
    for ours, value in model.state_dict().items():
        name = reduce(lambda text, pair: text.replace(*pair), _NAMES, ours)
        if name.startswith("nar_audio_embeddings."):
            name = name.replace(".weight", ".word_embeddings.weight")
        state[name] = value
    levels = state.pop("nar.levels")
    return state | {f"nar_stage_embeddings.{i}.word_embeddings.weight": row[None] for i, row in enumerate(levels)}


def zoo(root: Path, model: USLM, *, as_published: bool = False) -> Path:
    """Write a codec, the model and their registry, of a zoo "mine"; return the registry."""
    speechtokenizer_folder(root / "codec", *goldens.load("speechtokenizer_small"), "elu")
    rows = [{"kind": "speechtokenizer", "variant": "elu", "file": "codec/SpeechTokenizer.pt"}]
    if as_published:
        (root / "uslm").mkdir()
        torch.save({"model": published(model), "optimizer": {"lr": 0.05}}, root / "uslm" / "USLM.pt")
        lines = [f"{symbol} {number}\n" for number, symbol in enumerate(("<eps>", *SYMBOLS))]
        (root / "phones.k2symbols").write_text("".join(lines), encoding="utf-8")
        rows += [{"kind": "uslm", "variant": "elu", "file": "uslm/USLM.pt"}]
        rows += [{"kind": "uslm_symbols", "variant": "elu", "file": "phones.k2symbols"}]
    else:
        model.save_pretrained(root / "uslm")
        rows += [{"kind": "uslm", "variant": "elu", "file": "uslm/model.safetensors"}]
    about = {"format": "slmzoo-registry", "version": 1, "zoo": "mine", "system": "speechtokenizer", "rows": rows}
    (root / "zoo.json").write_text(json.dumps(about))
    return root / "zoo.json"
