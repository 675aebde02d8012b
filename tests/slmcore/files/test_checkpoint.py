from __future__ import annotations

import io
import json
import os
import pickle
import tempfile
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from slmcore.errors import CheckpointError
from slmcore.files.checkpoint import Checkpoint, build, fold_weight_norm, read, save
from slmcore.units import OperatingPoint

POINT = OperatingPoint(zoo="mine", encoder="e", layer=3, k=5, lmbda=1.5, num_neighbors=1)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def example():
    torch.manual_seed(0)
    state = {"a.weight": torch.randn(3, 4), "a.steps": torch.tensor([1, 2]), "scalar": torch.tensor(0.1)}
    about = {"tokenizer": {"u0": 4}, "operating_point": POINT, "provenance": {"data": "flite", "steps": 3}}
    return Checkpoint(kind="ulm", config={"dim": 4, "rates": [1, 2]}, state=state, **about)


def published(obj):
    return Checkpoint(kind="ulm", config=dict(obj["model_args"]), state=dict(obj["model_state_dict"]))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def zip_file():
    buffer = io.BytesIO()
    torch.save({"model_args": {"dim": 4}, "model_state_dict": {"w": torch.arange(6.0)}}, buffer)
    return buffer.getvalue()


def legacy_file():
    buffer = io.BytesIO()
    content = {"model_args": {"dim": 4}, "model_state_dict": {"w": torch.arange(6.0)}}
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


@cache
def safe_file():
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "m.safetensors", example())
        return (Path(folder) / "m.safetensors").read_bytes()


def test_what_is_saved_is_read(tmp_path):
    save(tmp_path / "m.safetensors", example())
    found = read(tmp_path / "m.safetensors", "ulm", published)
    assert same(found.state, example().state)
    assert replace(found, state={}) == replace(example(), state={})


def test_half_precision_touches_floats_only(tmp_path):
    save(tmp_path / "m.safetensors", example(), dtype=torch.float16)
    state = read(tmp_path / "m.safetensors", "ulm", published).state
    assert (state["a.weight"].dtype, state["a.steps"].dtype) == (torch.float16, torch.int64)


def test_tensors_that_share_memory_are_saved(tmp_path):
    base = torch.arange(6.0)
    shared = replace(example(), state={"a": base, "b": base, "c": base.view(2, 3).T})
    save(tmp_path / "m.safetensors", shared)
    assert torch.equal(read(tmp_path / "m.safetensors", "ulm", published).state["c"], base.view(2, 3).T)


@pytest.mark.parametrize("content", [zip_file(), legacy_file()])
def test_published_pickles_of_both_formats(tmp_path, content):
    (tmp_path / "m.pt").write_bytes(content)
    found = read(tmp_path / "m.pt", "ulm", published)
    assert (found.config, found.state["w"].tolist()) == ({"dim": 4}, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0])


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    save(path, example())
    before = path.read_bytes()

    def broken(state, name, metadata):
        save_file(state, name, metadata)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("slmcore.files.checkpoint.save_file", broken)
    with pytest.raises(OSError, match="No space"):
        save(path, replace(example(), state={"b": torch.zeros(3)}))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("existing", [None, 0o600, 0o664])
def test_whoever_may_read_the_folder_may_read_the_weights(tmp_path, existing):
    path = tmp_path / "a.safetensors"
    if existing is not None:
        save(path, example())
        path.chmod(existing)
    before = os.umask(0o027)
    try:
        save(path, example())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == (0o640 if existing is None else existing)


def test_equal_checkpoints_are_equal_files(tmp_path):
    for i in range(8):
        save(tmp_path / f"{i}.safetensors", replace(example(), provenance={"data": 'flüte "1"\n\x01', "ß": 1}))
    files = {path.read_bytes() for path in tmp_path.iterdir()}
    assert len(files) == 1
    found = read(tmp_path / "7.safetensors", "ulm", published)
    assert (found.provenance["data"], same(found.state, example().state)) == ('flüte "1"\n\x01', True)


@pytest.mark.parametrize("name", ["m.bin", "m.SAFETENSORS", "m.pt", "m"])
def test_safetensors_are_known_by_their_content(tmp_path, name):
    (tmp_path / name).write_bytes(safe_file())
    assert same(read(tmp_path / name, "ulm", published).state, example().state)


@pytest.mark.parametrize("name", ["m.pt", "m.bin", "m.safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>404</html>", "web page"),
        (b"\n  <!DOCTYPE html><title>x</title>" + "ü".encode() * 900, "web page"),
        (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b'{"error": "not found"}', "text file"),
        (b"Not Found\n", "text file"),
        (b"", "empty"),
    ],
)
def test_what_is_no_checkpoint_is_told_and_nobody_is_advised_to_run_it(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read(tmp_path / name, "ulm", published)
    assert str(caught.value).startswith(name)
    assert "weights_only" not in str(caught.value)


def test_the_code_in_a_pickle_is_named_without_advice_to_run_it(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"holds torch\.nn\.modules\.linear\.Linear, which is code") as caught:
        read(tmp_path / "m.pt", "ulm", published)
    assert "weights_only" not in str(caught.value)


def test_bare_weights_are_named_with_the_way_to_save_them(tmp_path):
    torch.save(nn.Sequential(nn.Linear(2, 2)).state_dict(), tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"bare weights.*checkpoint\.save\(path, model\.checkpoint\(\)\)"):
        read(tmp_path / "m.pt", "ulm", published)


class Runs:
    """A pickle of this makes a folder when it is loaded by an unguarded reader."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("how", ["torch", "legacy", "plain pickle"])
def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path, how):
    trap = tmp_path / "owned"
    content = {"model_args": {}, "model_state_dict": {"w": Runs(trap)}}
    if how == "plain pickle":
        (tmp_path / "m.pt").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, tmp_path / "m.pt", _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(CheckpointError, match="refused without running it"):
        read(tmp_path / "m.pt", "ulm", published)
    assert not trap.exists()
    # The trap is a real one.
    torch.load(tmp_path / "m.pt", weights_only=False) if how != "plain pickle" else pickle.loads(
        (tmp_path / "m.pt").read_bytes()
    )
    assert trap.exists()


def test_a_pickle_under_the_name_of_safetensors_is_not_unpickled(tmp_path):
    torch.save({"w": Runs(tmp_path / "owned")}, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="not a readable safetensors"):
        read(tmp_path / "m.safetensors", "ulm", published)
    assert not (tmp_path / "owned").exists()


def test_archive_members_that_climb_out_write_nothing(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "m.pt").write_bytes(zip_file())
    with zipfile.ZipFile(folder / "m.pt", "a") as archive:
        archive.writestr("../../evil.txt", "evil")
        archive.writestr("/../evil.txt", "evil")
    reads_or_refuses(folder / "m.pt", (folder / "m.pt").read_bytes())
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["inner", "m.pt"]


def test_missing_and_wrong_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="Give the path"):
        read(tmp_path / "none.pt", "ulm", published)
    with pytest.raises(FileNotFoundError):
        read(tmp_path, "ulm", published)
    save(tmp_path / "m.safetensors", example())
    with pytest.raises(CheckpointError, match=r"kind 'ulm', but 'ellav'"):
        read(tmp_path / "m.safetensors", "ellav", published)
    save_file({"w": torch.zeros(2)}, tmp_path / "plain.safetensors")
    with pytest.raises(CheckpointError, match=r"no slmzoo metadata .* bare weights.*model\.checkpoint\(\)"):
        read(tmp_path / "plain.safetensors", "ulm", published)
    for content in ([1, 2], {"model_args": 3, "model_state_dict": {}}, "text"):
        torch.save(content, tmp_path / "m.pt")
        with pytest.raises(CheckpointError, match="not a published checkpoint of kind 'ulm'"):
            read(tmp_path / "m.pt", "ulm", published)


DAMAGE = [
    ("config", None),
    ("config", "{"),
    ("config", "[1]"),
    ("config", "[" * 100_000),
    ("tokenizer", "3"),
    ("provenance", '"x"'),
    ("operating_point", "{}"),
    ("operating_point", '{"zoo": "a", "colour": 1}'),
    ("operating_point", '{"zoo": "a", "k": "many"}'),
    ("operating_point", "[" * 100_000),
    ("kind", None),
]


@pytest.mark.parametrize(("field", "value"), DAMAGE)
def test_damaged_metadata(tmp_path, field, value):
    path = tmp_path / "m.safetensors"
    path.write_bytes(safe_file())
    header = json.loads(path.read_bytes()[8:].split(b"}}", 1)[0] + b"}}")["__metadata__"]
    changed = {**header, field: value} if value is not None else {k: v for k, v in header.items() if k != field}
    save_file(load_file(path), path, changed)
    with pytest.raises(CheckpointError, match=r"m\.safetensors is damaged"):
        read(path, "ulm", published)


def reads_or_refuses(path, content):
    path.write_bytes(content)
    try:
        found = read(path, "ulm", published)
    except CheckpointError as error:
        assert path.name in str(error)
    else:
        assert found.kind == "ulm"
        assert all(isinstance(t, torch.Tensor) for t in found.state.values())


@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
@FUZZ
@given(content=st.binary(max_size=200))
def test_random_bytes(tmp_path, name, content):
    reads_or_refuses(tmp_path / name, content)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safe"])
@FUZZ
@given(data=st.data())
def test_truncated_and_changed_files(tmp_path, kind, data):
    whole = {"zip": zip_file, "legacy": legacy_file, "safe": safe_file}[kind]()
    content = bytearray(whole[: data.draw(st.just(len(whole)) | st.integers(0, len(whole)), label="length")])
    # Most of what matters is at the beginning and, in a zip, at the end.
    places = st.integers(0, max(0, min(700, len(content) - 1))) | st.integers(1, 300).map(lambda n: -n)
    for place in data.draw(st.lists(places, min_size=1, max_size=4), label="places"):
        if -len(content) <= place < len(content):
            content[place] = data.draw(st.integers(0, 255), label="byte")
    reads_or_refuses(tmp_path / ("m.safetensors" if kind == "safe" else "m.pt"), bytes(content))


@pytest.mark.parametrize("dim", [0, 2])
@pytest.mark.parametrize("style", ["parametrized", "deprecated"])
@pytest.mark.filterwarnings("ignore")
def test_weight_norm_is_folded_as_torch_does(dim, style):
    torch.manual_seed(1)
    conv = nn.Conv1d(4, 6, 3)
    wrap = nn.utils.parametrizations.weight_norm if style == "parametrized" else nn.utils.weight_norm
    holder = nn.ModuleDict({"conv": wrap(conv, dim=dim)})
    with torch.no_grad():
        for parameter in holder.parameters():
            parameter.mul_(torch.rand_like(parameter) + 0.5)
    folded = fold_weight_norm(holder.state_dict())
    assert set(folded) == {"conv.weight", "conv.bias"}
    x = torch.randn(1, 4, 9)
    plain = nn.Conv1d(4, 6, 3)
    plain.load_state_dict({k.removeprefix("conv."): v for k, v in folded.items()})
    torch.testing.assert_close(plain(x), holder["conv"](x))


def test_half_a_weight_norm_pair_is_a_damaged_checkpoint(tmp_path):
    torch.save({"w.weight_g": torch.ones(2, 1)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError):
        read(tmp_path / "m.pt", "ulm", lambda obj: Checkpoint(kind="ulm", config={}, state=fold_weight_norm(obj)))


def test_build_hands_over_the_weights_in_float32():
    state = {"weight": torch.randn(2, 3).half(), "bias": torch.zeros(2)}
    model = build(lambda: nn.Linear(3, 2), state)
    assert model.weight.dtype == torch.float32
    assert torch.equal(model.weight, state["weight"].float())
    assert not model.training


class DrawnInAllWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.normal = nn.Parameter(torch.empty(3, 2))
        nn.init.kaiming_normal_(self.normal)
        self.uniform = nn.Parameter(torch.empty(3).uniform_(-1, 1))
        self.spread = nn.Parameter(nn.init.xavier_normal_(torch.empty(4, 2)))
        self.constant = nn.Parameter(nn.init.constant_(tensor=torch.empty(2), val=3.0))
        self.register_buffer("codes", torch.randn(2, 5, generator=None, dtype=torch.float64))
        self.register_buffer("more", torch.rand((2, 1)))
        self.linear = nn.Linear(2, 3)


def test_build_draws_no_first_weights():
    torch.manual_seed(0)
    state = {name: torch.full_like(tensor, 2) for name, tensor in DrawnInAllWays().state_dict().items()}
    before = torch.get_rng_state()
    built = build(DrawnInAllWays, state)
    assert torch.equal(before, torch.get_rng_state())
    assert all(bool((tensor == 2).all()) for tensor in built.state_dict().values())


def test_outside_of_build_first_weights_are_drawn():
    build(lambda: nn.Linear(3, 2), {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})
    assert float(nn.init.kaiming_normal_(torch.zeros(3, 2)).abs().sum()) > 0


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.zeros(2, 3)}, "missing bias"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "more": torch.zeros(1)}, "unexpected more"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}, r"weight is \(3, 2\), not \(2, 3\)"),
        ({f"x{i}": torch.zeros(1) for i in range(9)}, "and 6 more"),
    ],
)
def test_build_refuses_weights_that_do_not_fit(state, message):
    with pytest.raises(CheckpointError, match=message):
        build(lambda: nn.Linear(3, 2), state)
