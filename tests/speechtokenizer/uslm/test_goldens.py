from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore.units import Codes
from speechtokenizer.uslm import USLM, PhoneTokenizer
from speechtokenizer.uslm.text import split
from tests.reference import goldens

pytestmark = pytest.mark.golden
ABOUT, ARRAYS = goldens.load("uslm_small")
WORDS, END_ROW = "*word_embeddings.weight", "ar_predict_layer.weight"


def published_file(path: Path, variant: str | None, louder_end: bool) -> Path:
    """The weights by recipe, in the published container."""
    about = ABOUT["variants"].get(variant, {"keys_not_in_state_dict": {}, "keys_missing": []})
    shapes = {key: value for key, value in ABOUT["state_dict"].items() if key not in about["keys_missing"]}
    state = goldens.weights(shapes | about["keys_not_in_state_dict"], {WORDS: lambda made: made * 32**0.5})
    if variant == "unshared_small_nar":
        narrow = {key: made / 2**0.5 for key, made in state.items() if key.startswith("nar") and "word_emb" in key}
        state |= {key: made for key, made in narrow.items() if made.shape[1] == 16}
    else:
        for level in range(6):
            shared = state[f"nar_audio_embeddings.{level + 2}.word_embeddings.weight"]
            state[f"nar_predict_layers.{level}.weight"] = shared
    if louder_end:
        state[END_ROW][1024] *= ABOUT["eos_row_scale"]
    torch.save({"model": state, "optimizer": {"lr": 0.05}}, path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, USLM]:
    folder = tmp_path_factory.mktemp("uslm")
    made = {"length": USLM.from_pretrained(published_file(folder / "length.pt", None, False), heads=4)}
    made["eos"] = USLM.from_pretrained(published_file(folder / "eos.pt", None, True), heads=4)
    for name, about in ABOUT["variants"].items():
        file = published_file(folder / f"{name}.pt", name, True)
        made[name] = USLM.from_pretrained(file, heads=4, prefix_mode=about["config"]["prefix_mode"])
    return made


def tensor(name: str) -> torch.Tensor:
    return torch.from_numpy(ARRAYS[name].astype(np.int64))


def prompt_of(name: str) -> Codes:
    return Codes(tensor(name)[0].T.contiguous(), 50.0, 1024)


def near(found: torch.Tensor, golden: np.ndarray) -> bool:
    return found.shape == golden.shape and bool(np.abs(found.detach().numpy() - golden).max() <= 1e-4 * golden.std())


@pytest.mark.parametrize("name", ["length", "eos", *ABOUT["variants"]])
def test_sizes_are_read_off_the_weights(models, name):
    config, wanted = models[name].config, ABOUT["variants"].get(name, {"config": ABOUT["config"]})["config"]
    assert (config.dim, config.heads, config.layers) == (wanted["d_model"], wanted["nhead"], wanted["num_layers"])
    scaled = [round(x * wanted["nar_scale_factor"]) for x in (config.dim, config.heads, config.layers)]
    assert [config.nar_dim, config.nar_heads, config.nar_layers] == scaled
    for key in ("norm_first", "prefix_mode", "share_embedding", "prepend_bos"):
        assert getattr(config, key) == wanted[key]
    assert config.num_codebooks == wanted["num_quantizers"]


@pytest.mark.parametrize("case", ["length", "eos"])
def test_greedy_codes_are_the_goldens(models, case):
    codes = models[case].generate(tensor(f"{case}/text")[0], prompt_of(f"{case}/prompt"), top_k=1)
    assert torch.equal(codes.codes.T, tensor(f"{case}/codes")[0])
    assert codes.frame_rate == 50.0


@pytest.mark.parametrize("variant", ABOUT["variants"])
def test_greedy_codes_of_variants_are_the_goldens(models, variant):
    about = ABOUT["variants"][variant]
    text = tensor("eos/text")[0]
    text = text[:8] if "[:, :8]" in about["text"] else text
    codes = models[variant].generate(
        text, prompt_of("eos/prompt"), prompt_text_length=about["enroll_x_lens"], temperature=0.0
    )
    assert torch.equal(codes.codes.T, tensor(f"variant/{variant}/codes")[0])
    assert len(codes) == about["new_tokens"]
    first = models[variant].forward([text], [prompt_of("eos/prompt").codes], 0)[0][-1]
    assert near(first[::5], ARRAYS[f"variant/{variant}/ar_first_logits"])


def test_logits_of_generation(models):
    text, prompt, made = tensor("length/text")[0], prompt_of("length/prompt").codes, tensor("length/codes")[0].T
    model = models["length"]
    assert near(model([text], [prompt], 0)[0][-1], ARRAYS["length/ar_last_logits_first_step"])
    for level in (1, 7):
        logits = model([text], [torch.cat([prompt, made], 1)], level)[0][prompt.shape[1] :]
        assert near(logits[:8, ::5], ARRAYS[f"length/nar_logits_stage{level}"])


@pytest.mark.parametrize(("level", "name"), [(0, "ar_logits"), (1, "nar_logits_stage1"), (7, "nar_logits_stage7")])
def test_teacher_forced_logits_of_a_padded_batch(models, level, name):
    lengths = zip(tensor("train/text_lens").tolist(), tensor("train/codes_lens").tolist(), strict=True)
    texts, codes = zip(
        *((tensor("train/text")[i, :n], tensor("train/codes")[i, :m].T) for i, (n, m) in enumerate(lengths)),
        strict=True,
    )
    for i, logits in enumerate(models["length"](texts, codes, level)):
        assert near(logits[:, ::5], ARRAYS[f"train/{name}"][i, : len(logits)])
    assert {len(c[0]) for c in codes} == {12, 17}


@pytest.mark.parametrize("case", ABOUT["text"]["cases"], ids=lambda case: case["text"][:12])
def test_phonemized_text_is_split(case):
    assert split(case["phonemized"]) == case["tokens"]


def test_ids_follow_the_code_points(tmp_path: Path):
    about = ABOUT["text"]["collater"]
    file = tmp_path / "unique_text_tokens.k2symbols"
    lines = ["<eps> 0", *(f"{symbol} {i + 40}" for i, symbol in enumerate(about["symbols"]))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = PhoneTokenizer.from_k2(file)
    assert list(tokenizer.symbols) == about["idx2token"]
    for tokens, ids, length in zip(about["in"], about["ids"], about["lens"], strict=True):
        assert tokenizer.encode(tokens).tolist() == ids[:length]
