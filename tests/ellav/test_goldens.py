from __future__ import annotations

import pytest
import torch

from ellav import EllaV, EllaVTokenizer, load
from slmcore.layers.fast import switch
from tests.reference import goldens
from tests.reference.ellav_loop import generate_one

pytestmark = pytest.mark.golden
GOLDEN, ARRAYS = goldens.load("ellav_small")


def edit_bias(state: dict[str, torch.Tensor]) -> None:
    """The golden's `bias_edit`."""
    state["output.bias"][2] += 1.6
    state["output.bias"][:2] -= 100
    state["output.bias"][3:24] -= 100


def published_file(path, edited: bool):
    state = goldens.weights(GOLDEN["state_dict"])
    if edited:
        edit_bias(state)
    obj = {"model_args": GOLDEN["model_args"], "tokenizer": GOLDEN["tokenizer"], "model_state": state}
    torch.save(obj, path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[bool, EllaV]:
    folder = tmp_path_factory.mktemp("ellav")
    return {edited: load(published_file(folder / f"{edited}.pt", edited)) for edited in (True, False)}


CASES = [
    pytest.param(edited, case, id=case["name"])
    for edited, key in ((True, "generate"), (False, "generate_without_bias_edit"))
    for case in GOLDEN[key]
]


MODES = [("cpu", "0"), ("cpu", "rehearse"), *(pytest.param("cuda", mode, marks=pytest.mark.gpu) for mode in "01")]


@pytest.mark.parametrize(("device", "mode"), MODES)
@pytest.mark.parametrize(("edited", "case"), CASES)
def test_generate_equals_the_golden(models, edited, case, device, mode):
    cap, model = case["max_codec_tokens_per_phone"], models[edited].to(device)
    with switch.using(mode):
        codes, finished = model.generate(case["prompts"], case["max_tokens"], cap, temperature=1.0, top_p=0.0)
    model.cpu()
    assert [c.tolist() for c in codes] == case["codec_ids"]
    assert finished == case["finished"]
    assert all(c.dtype == torch.int64 and c.device.type == "cpu" for c in codes)


@pytest.mark.parametrize(("edited", "case"), CASES)
def test_generate_equals_the_plain_loop(models, edited, case):
    model, cap = models[edited], case["max_codec_tokens_per_phone"]
    codes, finished, durations = model.generate(
        case["prompts"], case["max_tokens"], cap, temperature=0.0, return_durations=True
    )
    for prompt, *got in zip(case["prompts"], codes, finished, durations, strict=True):
        want = generate_one(model, prompt, case["max_tokens"], cap)
        assert (got[0].tolist(), got[1]) == want[:2]
        assert got[2].tolist()[: len(want[2])] == want[2][: len(got[2])]
        assert int(got[2].sum()) == len(got[0])


@pytest.mark.parametrize("cap", [0, 1, 9])
@pytest.mark.parametrize("max_tokens", [1, 2, 3, 7, 20])
def test_running_out_of_steps_equals_the_plain_loop(models, cap, max_tokens):
    prompts = [["u15"], ["u4", "u3", "u19", "u7"], ["u14", "u8", "u14", "u10"]]
    codes, finished = models[True].generate(prompts, max_tokens, cap, top_p=0.0)
    for prompt, *got in zip(prompts, codes, finished, strict=True):
        want = generate_one(models[True], prompt, max_tokens, cap)
        assert (got[0].tolist(), got[1]) == want[:2]


def test_encode_infer():
    case = GOLDEN["encode_infer"]
    assert EllaVTokenizer.from_dict(GOLDEN["tokenizer"]).encode_infer(case["prompt"]).tolist() == case["ids"]


def test_encode_train(models):
    case = GOLDEN["encode_train"]
    tokenizer = EllaVTokenizer.from_dict(GOLDEN["tokenizer"])
    ids = tokenizer.encode_train(case["framewise_phones"], case["framewise_codec_tokens"])
    assert ids.tolist() == case["ids"]
    logits = models[True](ids[None, :-1])[0]
    expected = torch.from_numpy(ARRAYS["train_logits"])
    assert (logits - expected).abs().max() < 1e-4


def test_loss_mask_differs_from_the_published_one_at_the_first_phone_only():
    case = GOLDEN["encode_train"]
    ids = torch.tensor(case["ids"])
    mask = EllaVTokenizer.from_dict(GOLDEN["tokenizer"]).loss_mask(ids)
    published = ~torch.tensor(case["user_input_mask"])
    assert set(ids[mask != published].tolist()) <= {4}


def test_tokenizer_for_units_is_the_published_one():
    tokenizer = EllaVTokenizer.for_units(20, 64, 50, 40)
    assert tokenizer.token_to_id_dict == GOLDEN["tokenizer"]["token_to_id_dict"]
