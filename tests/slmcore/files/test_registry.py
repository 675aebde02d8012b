from __future__ import annotations

import json
import os
import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ellav import EllaV, EllaVTokenizer
from mistral_ulm import UnitLM
from slmcore.errors import DigestError
from slmcore.files import registry
from slmcore.files.fetch import resolve
from slmcore.files.rows import Row
from slmcore.files.zoofile import rows_of_text
from slmcore.layers.transformer import TransformerConfig
from tests.reference.recipe import golden_json

GOOD = {
    "format": "slmzoo-registry",
    "version": 1,
    "zoo": "mine",
    "defaults": {"encoder": "hubert", "layer": 6, "licence": "CC0", "frame_rate": 50},
    "rows": [
        {"kind": "codebook", "k": 50, "file": "codebook.safetensors"},
        {"kind": "ulm", "k": 50, "lmbda": 3, "num_neighbors": 5, "url": "https://example.org/ulm.safetensors"},
        {"kind": "ulm", "k": 50, "lmbda": 7.5, "num_neighbors": 5, "url": "hf://lab/ulm/ulm.safetensors"},
    ],
}


def write(folder, content, name="zoo.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def changed(**change):
    return {**GOOD, **change}


def test_every_published_file_has_its_row_and_there_are_no_others():
    wanted = golden_json("checkpoints")
    found = {(r.kind, r.variant, r.k, r.lmbda): r for r in registry.rows("dp-slm")}
    assert [[*key, row.url] for key, row in found.items()] == wanted
    assert len(found) == len(registry.rows("dp-slm")) == 60


def test_digits_are_those_of_the_name_unless_no_loader_ever_checked_them():
    for row in registry.rows("dp-slm"):
        in_name = re.search(r"[-_]([0-9a-f]{8})\.", row.file)
        unproven = row.kind == "wavtokenizer"
        assert (row.claimed if unproven else row.sha256) == (in_name[1] if in_name else "")
        assert (row.sha256 if unproven else row.claimed) == ""


def test_data_contracts():
    ulm = registry.find("ulm", k=500, lmbda=4500)
    assert (ulm.encoder, ulm.layer, ulm.num_neighbors, ulm.frame_rate) == ("wavlm_large", 11, 25, 50.0)
    point = registry.find("ellav", k=100, lmbda=600).operating_point
    assert point is not None
    assert (point.zoo, point.k, point.lmbda, point.num_neighbors) == ("dp-slm", 100, 600.0, 5)
    codebook = registry.find("codebook", k=2000).operating_point
    assert codebook is not None
    assert (codebook.lmbda, codebook.num_neighbors, codebook.layer) == (None, None, 11)
    codec = registry.find("wavtokenizer")
    assert codec.operating_point is None
    assert (codec.variant, codec.sample_rate, codec.frame_rate) == ("small_600_24k_4096", 24000, 40.0)
    assert registry.find("wavtokenizer", variant="small_320_24k_4096").frame_rate == 75.0


def test_parts_of_one_point_agree_and_those_of_others_do_not():
    points = [registry.find(kind, k=500, lmbda=4500).operating_point for kind in ("wavlm", "codebook", "ulm", "ellav")]
    for one, other in pairwise(points):
        one.check_compatible(other, "parts")
    with pytest.raises(ValueError, match="k: 500 != 200"):
        points[2].check_compatible(registry.find("ellav", k=200, lmbda=700).operating_point, "ulm and ellav")


def test_the_24_operating_points():
    points = registry.operating_points()
    assert len(points) == 24
    assert {p.k for p in points} == {100, 200, 500, 1000}
    assert all(p.num_neighbors == max(1, int(0.05 * p.k)) for p in points)


def test_lambda_is_a_number_whatever_its_type():
    assert registry.find("ulm", k=500, lmbda=4500) == registry.find("ulm", k=500, lmbda=4500.0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"kind": "ulm", "k": 500, "lmbda": 4000},
            r"k=500, lmbda=4000.*Valid \(k, lmbda\): \(100, 0\).*\(1000, 6000\)",
        ),
        ({"kind": "ellav", "k": 2000, "lmbda": 0}, r"Valid.*\(1000, 6000\)"),
        ({"kind": "codebook"}, r"nothing given.*Valid \(k\): \(100\), .*\(2000\)"),
        ({"kind": "codebook", "k": 500, "layer": 12}, r"layer=12.*\(500, 11\)"),
        ({"kind": "ulm", "k": 500}, "needs more to be named"),
        ({"kind": "ulm", "zoo": "nowhere", "k": 500, "lmbda": 0}, "dp-slm, .*demo"),
        ({"kind": "wavtokenizer", "variant": "large"}, "small_600_24k_4096, small_320_24k_4096"),
        ({"kind": "plm", "zoo": "demo"}, "has no plm"),
        ({"kind": "vocoder"}, "wavlm, codebook"),
        ({"kind": "ulm", "k": True, "lmbda": 0}, "`k` must be an integer >= 1"),
        ({"kind": "ulm", "k": 500.0, "lmbda": 0}, "`k` must be an integer >= 1"),
        ({"kind": "ulm", "k": "500", "lmbda": 0}, "`k` must be an integer >= 1"),
        ({"kind": "ulm", "k": 500, "lmbda": False}, "`lmbda` must be a finite number >= 0"),
        ({"kind": "ulm", "k": 500, "lmbda": float("nan")}, "`lmbda` must be a finite number >= 0"),
        ({"kind": "ulm", "k": 500, "lmbda": 10**400}, "`lmbda` must be a finite number >= 0"),
        ({"kind": "ulm", "k": 500, "lmbda": -1}, "`lmbda` must be a finite number >= 0"),
    ],
)
def test_what_is_not_listed_is_an_error_that_lists_what_is(asked, message):
    with pytest.raises(ValueError, match=message):
        registry.find(**asked)


@pytest.mark.parametrize("zoo", ["demo", "demo-speechtokenizer", "twist"])
def test_a_user_cannot_take_the_name_of_a_zoo_that_comes_along(tmp_path, zoo):
    with pytest.raises(ValueError, match=f"{zoo}.*is taken"):
        registry.rows(registry=write(tmp_path, {**GOOD, "zoo": zoo}))


def test_the_demo_needs_no_point_and_takes_only_its_own():
    assert registry.find("ulm", zoo="demo").k == 200
    assert {row.kind for row in registry.rows("demo")} == {"wavlm", "codebook", "ulm", "ellav", "wavtokenizer"}
    assert all(row.url == f"package://slmzoo.demo/{row.kind}.safetensors" for row in registry.rows("demo"))
    (codec,) = registry.rows("demo-speechtokenizer")
    assert (codec.kind, codec.system, codec.encoder) == ("speechtokenizer", "speechtokenizer", None)
    assert codec.url == "package://slmzoo.demo/speechtokenizer.safetensors"
    with pytest.raises(ValueError, match="200"):
        registry.find("codebook", zoo="demo", k=500)


def test_a_users_zoo_by_argument_and_by_environment(tmp_path, monkeypatch):
    path = write(tmp_path, GOOD)
    row = registry.find("ulm", zoo="mine", k=50, lmbda=3.0, registry=path)
    assert (row.encoder, row.layer, row.licence, row.num_neighbors) == ("hubert", 6, "CC0", 5)
    other = write(tmp_path, {**GOOD, "zoo": "other"}, "other.json")
    monkeypatch.setenv("SLMZOO_REGISTRY", os.pathsep.join([str(path), str(other)]))
    assert registry.zoos()[0] == "dp-slm"
    assert registry.zoos()[-4:] == ("demo", "demo-speechtokenizer", "mine", "other")
    assert len(registry.rows("mine", registry=str(path))) == 3
    assert [p.lmbda for p in registry.operating_points("other", kinds={"ulm", "ellav"})] == [3.0, 7.5]
    assert registry.find("codebook", zoo="mine").url == str(tmp_path / "codebook.safetensors")


def test_operating_points_may_be_those_of_some_kinds(tmp_path):
    rows = [*GOOD["rows"], {"kind": "codebook", "k": 60, "lmbda": 1, "url": "https://example.org/60.safetensors"}]
    path = write(tmp_path, {**GOOD, "rows": rows})
    assert [p.lmbda for p in registry.operating_points("mine", path)] == [3.0, 7.5, 1.0]
    assert [p.lmbda for p in registry.operating_points("mine", path, kinds={"ulm", "ellav"})] == [3.0, 7.5]
    assert [p.lmbda for p in registry.operating_points("mine", path, kinds=["codebook"])] == [1.0]
    assert registry.operating_points("mine", path, kinds=()) == ()


def test_digits_of_a_users_file_are_enforced(tmp_path):
    (tmp_path / "codebook.safetensors").write_bytes(b"content")
    right = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    rows = [{"kind": "codebook", "k": 50, "file": "codebook.safetensors", "sha256": right}]
    row = registry.find("codebook", zoo="mine", registry=write(tmp_path, changed(rows=rows)))
    assert resolve(row) == tmp_path / "codebook.safetensors"
    (tmp_path / "codebook.safetensors").write_bytes(b"changed")
    with pytest.raises(DigestError, match="damaged or replaced"):
        resolve(row)


@pytest.mark.parametrize("file", ["../x.pt", "/etc/passwd", "a/../../x.pt", ".", "", "out/x.pt"])
def test_a_file_entry_does_not_leave_its_folder(tmp_path, file):
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    path = write(folder, changed(rows=[{"kind": "wavlm", "file": file}]))
    with pytest.raises(ValueError, match=r"zoo\.json.*rows\[0\]"):
        registry.rows(registry=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not right"),
        ("[" * 100_000, "not right"),
        ([], "a JSON object"),
        (changed(version=2), "format, version"),
        (changed(extra=1), "keys of"),
        (changed(zoo=3), "`zoo` must be a string"),
        (changed(zoo="dp-slm"), "taken"),
        (changed(zoo="demo"), "taken"),
        (changed(rows={}), "a list"),
        (changed(rows=[3]), r"rows\[0\]: `row` must be a JSON object"),
        (changed(rows=[{"kind": "a kind", "file": "a.pt"}]), "`kind` must be a name"),
        (changed(rows=[{"kind": "ulm"}]), "file or url"),
        (changed(rows=[{"kind": "ulm", "file": "a.pt", "url": "https://a/a.pt"}]), "file or url"),
        (changed(rows=[{"kind": "ulm", "url": "file:///etc/passwd"}]), "`url` must be"),
        (changed(rows=[{"kind": "ulm", "url": "package://os/a.pt"}]), "`url` must be"),
        (changed(rows=[{"kind": "ulm", "url": "https://a/%2e%2e%2fa.pt/"}]), "file name"),
        (changed(rows=[{"kind": "ulm", "file": "a.pt", "k": True}]), "`k` must be"),
        (changed(rows=[{"kind": "ulm", "file": "a.pt", "k": 4, "num_neighbors": 5}]), "1 to k = 4"),
        (changed(rows=[{"kind": "ulm", "file": "a.pt", "layer": 0}]), "`layer` must be"),
        (changed(rows=[{"kind": "ulm", "file": "a.pt", "frame_rate": 0}]), "`frame_rate` must be"),
        (changed(rows=[{"kind": "ellav", "file": "a.pt", "longest_seconds": 0.5}]), "`longest_seconds` must be"),
        (changed(rows=[{"kind": "ulm", "file": "a.pt", "sha256": "xyz"}]), "`sha256` must be"),
        (changed(rows=[{"kind": "ulm", "file": "a.pt"}] * 2), "repeats the key"),
        (changed(defaults={"sha256": "00000000"}), "`defaults` must be"),
    ],
)
def test_a_wrong_registry_says_what_is_wrong_and_where(tmp_path, content, message):
    with pytest.raises(ValueError, match=message) as caught:
        registry.rows(registry=write(tmp_path, content))
    assert "zoo.json" in str(caught.value)


def test_missing_or_contradicting_registries(tmp_path):
    with pytest.raises(FileNotFoundError, match="SLMZOO_REGISTRY"):
        registry.rows(registry=tmp_path / "none.json")
    one = write(tmp_path, GOOD)
    other = write(tmp_path, changed(rows=[{"kind": "codebook", "k": 50, "file": "b.safetensors"}]), "b.json")
    with pytest.raises(ValueError, match="another file"):
        registry.rows(registry=[one, other])
    with pytest.raises(ValueError, match="`registry` must be"):
        registry.rows(registry=3)  # pyright: ignore[reportArgumentType]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("../x") | st.just("a.pt"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KINDS = ("wavlm", "codebook", "ulm", "ellav", "a_new_kind")
FIELDS = st.sampled_from([*Row.__dataclass_fields__, "file"])
ENTRY = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("wavlm", "codebook", "ulm", "ellav", "a_new_kind")) | JSON,
        "file": st.just("a.pt") | JSON,
    }
) | st.dictionaries(FIELDS, JSON, max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    JSON
    | st.fixed_dictionaries({**{k: st.just(v) | JSON for k, v in GOOD.items()}, "rows": st.lists(ENTRY, max_size=3)})
)
def test_any_json_gives_rows_or_a_value_error(content):
    text = json.dumps(content)
    try:
        found = rows_of_text(text, lambda file: f"/zoo/{file}")
    except (ValueError, RecursionError) as error:
        assert str(error)
    else:
        assert len({row.key for row in found}) == len(content["rows"])
        assert all(row.label.startswith(row.zoo) and row.file for row in found)


def test_a_zoo_names_its_system_and_is_dp_slm_otherwise():
    named = rows_of_text(json.dumps({**GOOD, "system": "toy"}), lambda file: file)
    assert {row.system for row in named} == {"toy"}
    assert {row.system for row in rows_of_text(json.dumps(GOOD), lambda file: file)} == {"dp-slm"}
    assert registry.system_of("demo") == registry.system_of("dp-slm") == "dp-slm"


def test_the_published_zoo_marks_its_usual_operating_point():
    for kind, lmbda in (("ulm", 4500), ("ellav", 4500), ("codebook", None)):
        row = registry.default_row(kind, "dp-slm")
        assert row is not None
        assert (row.k, row.lmbda) == (500, lmbda)
    assert registry.default_row("ulm", "demo") is None


@pytest.mark.parametrize("k", [100, 1000])
def test_the_size_of_a_published_file_is_about_that_of_its_parameters(k):
    sizes = {"dim": 1024, "n_layers": 12, "head_dim": 64, "hidden_dim": 4096, "n_heads": 16, "n_kv_heads": 16}
    tokenizer = EllaVTokenizer.for_units(k, 4096, 50.0, 40.0)
    with torch.device("meta"):
        models = {
            "ulm": UnitLM(TransformerConfig(vocab_size=k + 1, output_bias=False, dropout=0.0, **sizes)),
            "ellav": EllaV(
                TransformerConfig(vocab_size=tokenizer.vocab_size, output_bias=True, dropout=0.0, **sizes), tokenizer
            ),
        }
    for kind, model in models.items():
        parameters = sum(p.numel() for p in model.parameters())
        assert all(
            row.size == pytest.approx(4 * parameters, rel=1e-3) for row in registry.rows("dp-slm", kind) if row.k == k
        )
    (codebook,) = (row for row in registry.rows("dp-slm", "codebook") if row.k == k)
    assert codebook.size == pytest.approx(4 * 1024 * k, rel=0.01)


def test_a_size_is_a_number_of_bytes(tmp_path):
    assert Row(zoo="mine", kind="ulm", url="https://host/x.pt", size=12).size == 12
    for wrong in (0, -1, 1.5, "big"):
        with pytest.raises(ValueError, match="`size` must be"):
            Row(zoo="mine", kind="ulm", url="https://host/x.pt", size=wrong)
