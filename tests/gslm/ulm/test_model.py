from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gslm.ulm import GSLMUnitLM, load
from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import read, save
from slmcore.roles import UnitLanguageModel
from tests.reference import goldens, gslm

NAME = "gslm_ulm_small"
ABOUT = goldens.load_json(NAME)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gslm.ulm_folder(tmp_path_factory.mktemp("ulm") / "folder", NAME)


@pytest.fixture(scope="module")
def model(folder: Path) -> GSLMUnitLM:
    return load(folder)


def sequences(lengths: list[int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(50, (n,), generator=generator) for n in lengths]


def test_it_plays_its_role(model):
    assert isinstance(model, UnitLanguageModel)
    assert (model.k, model.device.type) == (50, "cpu")


def test_batches_score_as_single_sequences_do(model):
    units = sequences([1, 9, 30, 9, 2])
    together = model.logprobs(units, eos=True)
    for found, alone in zip(together, units, strict=True):
        torch.testing.assert_close(found, model.logprobs([alone], eos=True)[0], atol=2e-5, rtol=0)


def test_scored_tokens_follow_the_convention(model):
    units = [3, 17, 3]
    whole = model.logprobs([units], eos=True)[0]
    assert len(whole) == 4
    torch.testing.assert_close(model.logprobs([units])[0], whole[:3])
    assert len(model.logprobs([units], bos=False)[0]) == 2
    assert len(model.logprobs([[3]], bos=False, eos=True)[0]) == 1
    assert len(model.logprobs([[]], eos=True)[0]) == 1
    for refused, least in ((([3]), 2), (([]), 2)):
        with pytest.raises(ValueError, match=f"at least {least}"):
            model.logprobs([refused], bos=False)
    with pytest.raises(ValueError, match="at least 1"):
        model.logprobs([[]])


def test_probabilities_sum_to_one_over_continuations(model):
    with torch.no_grad():
        following = model(model.tokenizer.encode([5, 6])[None])[0, -1].double().log_softmax(-1)
    for unit in (0, 49):
        scored = model.logprobs([[5, 6, unit]])[0][-1]
        assert float(scored) == pytest.approx(float(following[model.tokenizer.encode([unit])[1]]), abs=1e-5)
    ended = model.logprobs([[5, 6]], eos=True)[0][-1]
    assert float(ended) == pytest.approx(float(following[2]), abs=1e-5)


def test_xglm_of_transformers_gives_the_same_logits(model):
    from transformers import XGLMConfig, XGLMForCausalLM

    config = XGLMConfig(
        vocab_size=56,
        d_model=64,
        ffn_dim=128,
        num_layers=3,
        attention_heads=4,
        activation_function="relu",
        dropout=0.0,
        max_position_embeddings=80,
        scale_embedding=True,
    )
    other = XGLMForCausalLM(config).eval()
    state = {
        name.replace("decoder.", "model."): value
        for name, value in gslm.ulm_content(NAME)["model"].items()
        if name.startswith("decoder.") and "version" not in name and "output" not in name
    }
    loaded = other.load_state_dict(state | {"lm_head.weight": state["model.embed_tokens.weight"]}, strict=False)
    assert not loaded.unexpected_keys
    ids = model.tokenizer.encode(sequences([40])[0])[None]
    with torch.no_grad():
        torch.testing.assert_close(model(ids), other(ids).logits, atol=1e-4, rtol=0)


def test_continuations_depend_on_the_seed_and_on_nothing_beside_them(model):
    prompts = sequences([4, 11])
    made = model.generate(prompts, 12, num_samples=2, seed=5, temperature=0.8)
    assert [len(units) for units in made.units] == [len(logs) for logs in made.log_probs]
    alone = model.generate(prompts[:1], 12, num_samples=2, seed=5, temperature=0.8)
    for first, second in zip(made.units[:2], alone.units, strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(made.units[0], made.units[1])
    other = model.generate(prompts[:1], 12, num_samples=2, seed=6, temperature=0.8)
    assert any(not torch.equal(a, b) for a, b in zip(alone.units, other.units, strict=True))


def test_log_probabilities_of_a_continuation_are_those_of_scoring(model):
    prompt = [20, 49, 41]
    made = model.generate([prompt], 10, seed=1)
    units = made.units[0]
    assert len(units)
    scored = model.logprobs([torch.cat([torch.tensor(prompt), units])])[0][3:]
    torch.testing.assert_close(made.log_probs[0], scored, atol=1e-4, rtol=0)


def louder(folder: Path, row: int) -> GSLMUnitLM:
    """The model in which the token of one row is the likeliest everywhere."""
    model = load(folder)
    with torch.no_grad():
        model.transformer.norm.bias.fill_(1.0)
        model.transformer.norm.weight.zero_()
        model.transformer.output.weight[row] = 4.0
    return model


def test_padding_is_never_sampled_and_what_is_no_unit_is_left_out(folder):
    assert len(louder(folder, 1).generate([[3]], 5).units[0]) == 5
    for token in (0, 3, 54):
        made = louder(folder, token).generate([[3]], 5)
        assert (len(made.units[0]), len(made.log_probs[0]), made.finished) == (0, 0, [False])
    made = louder(folder, 4).generate([[3]], 5)
    assert made.units[0].tolist() == [35] * 5


def test_the_end_token_ends_unless_more_units_are_wanted(folder):
    ends = louder(folder, 2)
    assert ends.generate([[3]], 5).finished == [True]
    assert len(ends.generate([[3]], 5).units[0]) == 0
    made = ends.generate([[]], 5, min_new_units=2, temperature=0.0)
    assert (len(made.units[0]), made.finished) == (2, [True])


def test_sequences_end_where_the_model_does(model):
    made = model.generate([sequences([60])[0]], 50, temperature=0.0)
    assert len(made.units[0]) == 64 - 61
    with pytest.raises(ValueError, match="at most 62 units"):
        model.generate([sequences([63])[0]], 5)
    assert len(model.logprobs([sequences([63])[0]], eos=True)[0]) == 64
    with pytest.raises(ValueError, match="in segments"):
        model.logprobs([sequences([64])[0]], eos=True)


@pytest.mark.parametrize("prompts", [[], "3 4", [3, 4]])
def test_prompts_are_a_list_of_sequences(model, prompts):
    with pytest.raises(ValueError, match="prompts"):
        model.generate(prompts, 4)


def test_saved_models_load_equal(model, tmp_path):
    file = model.save_pretrained(tmp_path / "saved")
    again, units = GSLMUnitLM.from_pretrained(tmp_path / "saved"), sequences([20])
    assert torch.equal(again.logprobs(units)[0], model.logprobs(units)[0])
    assert again.tokenizer.to_dict() == model.tokenizer.to_dict()
    assert read(file, "gslm_ulm", dict).tokenizer == {"symbols": model.tokenizer.symbols, "k": 50}
    found = read(file, "gslm_ulm", dict)
    save(tmp_path / "other.safetensors", found, torch.bfloat16)
    assert load(tmp_path / "other.safetensors").transformer.norm.weight.dtype == torch.float32


def test_weights_of_a_byte_score_nearly_alike(folder, model):
    units = sequences([30])
    rounded = load(folder)
    rounded.quantize("int8")
    distance = (rounded.logprobs(units)[0] - model.logprobs(units)[0]).abs().max()
    assert 0 < float(distance) < 1


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            file.addfile(about, io.BytesIO(content))
    return path


def test_archives_that_lack_a_file_or_are_damaged_are_refused(folder, tmp_path):
    weights, dictionary = (folder / name for name in ("checkpoint_best.pt", "dict.txt"))
    with pytest.raises(CheckpointError, match=r"lm.tgz lacks dict.txt"):
        load(archive(tmp_path / "lm.tgz", {"lm/checkpoint_best.pt": weights.read_bytes()}))
    with pytest.raises(CheckpointError, match=r"lm.tgz lacks checkpoint_best.pt"):
        load(archive(tmp_path / "lm.tgz", {"dict.txt": dictionary.read_bytes()}))
    whole = archive(tmp_path / "cut.tgz", {"checkpoint_best.pt": weights.read_bytes(), "dict.txt": b"1 1\n"})
    whole.write_bytes(whole.read_bytes()[:-5000])
    with pytest.raises(CheckpointError, match=r"cut.tgz is damaged"):
        load(whole)
    with pytest.raises(CheckpointError, match=r"page.tgz is damaged"):
        (tmp_path / "page.tgz").write_text("<html>not found</html>")
        load(tmp_path / "page.tgz")


def test_archives_write_nothing_outside_their_folder(folder, tmp_path):
    members = {f"../../escaped/{name}": (folder / name).read_bytes() for name in ("checkpoint_best.pt", "dict.txt")}
    (tmp_path / "in").mkdir()
    assert load(archive(tmp_path / "in" / "lm.tgz", members)).k == 50
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "lm.tgz"]
    with tarfile.open(tmp_path / "in" / "link.tgz", "w:gz") as file:
        file.add(folder / "checkpoint_best.pt", "checkpoint_best.pt")
        link = tarfile.TarInfo("dict.txt")
        link.type, link.linkname = tarfile.SYMTYPE, str(folder / "dict.txt")
        file.addfile(link)
    with pytest.raises(CheckpointError, match=r"lacks dict.txt"):
        load(tmp_path / "in" / "link.tgz")


def test_a_dictionary_that_does_not_fit_is_refused(folder, tmp_path):
    for lines in (51, 53):
        other = gslm.ulm_folder(tmp_path / str(lines), NAME)
        (other / "dict.txt").write_text("".join(f"{i} 1\n" for i in range(lines)))
        with pytest.raises(CheckpointError, match=rf"of 52 lines .* a list of {lines} lines"):
            load(other)
    (other / "dict.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"dict\.txt"):
        load(other)
    with pytest.raises(CheckpointError, match="below k = 40"):
        load(folder, k=40)
    assert load(folder, k=60).k == 60


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder_learned_pos": True}, "decoder_learned_pos"),
        ({"adaptive_softmax_cutoff": "10,20"}, "adaptive_softmax_cutoff"),
        ({"activation_fn": "swish"}, "activation_fn"),
        ({"decoder_attention_heads": None, "arch": "other"}, "decoder_attention_heads"),
        ({"decoder_attention_heads": 5}, "number of heads"),
    ],
)
def test_models_of_other_forms_are_refused(tmp_path, change, message):
    content = gslm.ulm_content(NAME)
    content["args"] = content["args"] | change
    with pytest.raises(ValueError, match=message):
        load(gslm.ulm_folder(tmp_path, NAME, content))


def test_heads_follow_the_name_of_the_architecture(tmp_path):
    content = gslm.ulm_content(NAME)
    for name, heads in (("transformer_lm_big", 16), ("transformer_lm", 8)):
        args = {k: v for k, v in content["args"].items() if k != "decoder_attention_heads"} | {"arch": name}
        made = load(gslm.ulm_folder(tmp_path / name, NAME, content | {"args": args}))
        assert made.config.heads == heads


def test_settings_change_what_they_name(tmp_path, model):
    units, content = [[3, 9]], gslm.ulm_content(NAME)
    for change in ({"no_scale_embedding": True}, {"activation_fn": "gelu"}, {"no_decoder_final_norm": True}):
        other = load(gslm.ulm_folder(tmp_path / next(iter(change)), NAME, content | {"args": content["args"] | change}))
        assert not torch.allclose(other.logprobs(units)[0], model.logprobs(units)[0], atol=1e-3)
    bos = load(gslm.ulm_folder(tmp_path / "bos", NAME, content | {"args": content["args"] | {"add_bos_token": True}}))
    assert bos.tokenizer.encode([3])[0] == 0
    state = {k: v for k, v in content["model"].items() if "output_projection" not in k}
    args = content["args"] | {"share_decoder_input_output_embed": False}
    with pytest.raises(CheckpointError, match="output_projection"):
        load(gslm.ulm_folder(tmp_path / "none", NAME, {"args": args, "model": state}))


def test_widths_of_embeddings_may_differ_from_that_of_the_layers(tmp_path):
    content, rng = gslm.ulm_content(NAME), np.random.RandomState(4)
    narrow_in, narrow_out = (torch.from_numpy(rng.standard_normal((56, n)).astype(np.float32)) for n in (24, 40))
    into, out = (torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for shape in ((64, 24), (40, 64)))
    folded = content["model"] | {gslm.EMBEDDING: narrow_in @ into.T, gslm.OUTPUT: narrow_out @ out}
    split = content["model"] | {
        gslm.EMBEDDING: narrow_in,
        gslm.OUTPUT: narrow_out,
        "decoder.project_in_dim.weight": into,
        "decoder.project_out_dim.weight": out,
    }
    models = [
        load(gslm.ulm_folder(tmp_path / n, NAME, content | {"model": s})) for n, s in (("a", folded), ("b", split))
    ]
    torch.testing.assert_close(
        models[0].logprobs([[3, 9, 1]])[0], models[1].logprobs([[3, 9, 1]])[0], atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("content", [{"weights": {}}, {"model": {"encoder.w": torch.zeros(1)}}, [1]])
def test_other_files_are_refused(tmp_path, content):
    with pytest.raises(CheckpointError, match="no language model of fairseq"):
        load(gslm.ulm_folder(tmp_path, NAME, content))


class Planted:
    """A payload in a checkpoint's settings."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def test_a_planted_payload_is_refused_and_not_run(tmp_path):
    planted = gslm.ulm_content(NAME) | {"args": Planted(tmp_path / "ran")}
    with pytest.raises(CheckpointError, match="refused without running it"):
        load(gslm.ulm_folder(tmp_path / "lm", NAME, planted))
    assert not (tmp_path / "ran").exists()


def test_a_missing_tensor_is_named(tmp_path):
    content = gslm.ulm_content(NAME)
    del content["model"]["decoder.layers.1.fc2.bias"]
    with pytest.raises(CheckpointError, match=r"missing transformer.layers.1.feed_forward.w2.bias"):
        load(gslm.ulm_folder(tmp_path, NAME, content))
