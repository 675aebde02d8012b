from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from slmcore.files import checkpoint as files
from slmcore.units import OperatingPoint
from slmzoo import hub
from slmzoo.systems import dp_slm
from tests.reference import tiny_zoo
from tests.reference.recipe import golden_json, recipe_state

ROOT = Path(__file__).parents[2]
ENTRIES = {
    "wavlm_large",
    "codebook",
    "dpdp_quantizer",
    "dpdp_quantizer_from_codebook",
    "ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k",
    "ulm_wavlm_layer_11_dpdp_hours_60k_steps_200k",
    "plm_us_arpa_hours_1k_steps_10k",
    "ellav_units_to_wavtokenizer",
    "ellav_phones_to_wavtokenizer",
    "small_600_24k_4096",
    "small_320_24k_4096",
    "gslm_ulm",
    "hubert_base",
    "wav2vec2_large",
    "cpc_big",
    "log_mel",
    "gslm_codebook",
    "gslm_tacotron",
    "mhubert_base_25hz",
    "twist_codebook",
    "twist_ulm",
    "uslm",
    "unit_hifigan",
    "waveglow",
    "pipeline",
    "speechtokenizer",
    "soundstream",
}

ZOOS = {"speechtokenizer": "speechtokenizer", "uslm": "speechtokenizer", "soundstream": "soundstream"}
ZOOS |= dict.fromkeys(("mhubert_base_25hz", "twist_codebook", "twist_ulm", "unit_hifigan"), "twist")
ZOOS |= dict.fromkeys(("gslm_ulm", "gslm_tacotron", "gslm_codebook", "waveglow"), "gslm")
ZOOS |= dict.fromkeys(("hubert_base", "wav2vec2_large", "cpc_big", "log_mel"), "gslm")
"""Default zoos other than "dp-slm"."""


def load(entry: str, *args, **options):
    return torch.hub.load(str(ROOT), entry, *args, source="local", trust_repo=True, **options)


@pytest.fixture
def cached(tmp_path, monkeypatch) -> str:
    """The repository as torch.hub keeps it after a download, by the name that asks for it."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "org_slmzoo_main").symlink_to(ROOT)
    return "org/slmzoo:main"


def test_list_shows_the_entry_points_and_nothing_else(cached):
    assert set(torch.hub.list(cached, skip_validation=True, trust_repo=True)) == ENTRIES


@pytest.mark.parametrize("entry", sorted(ENTRIES))
def test_help_says_what_is_returned(cached, entry):
    text = torch.hub.help(cached, entry, skip_validation=True, trust_repo=True)
    assert len(inspect.cleandoc(text)) > 150  # from Python 3.13 on the text comes without its indentation


@pytest.mark.parametrize("entry", sorted(ENTRIES - {"dpdp_quantizer"}))
def test_signatures_show_every_option(entry):
    """What `help` and notebooks show, after the arguments that are the entry point's own."""
    spec = importlib.util.spec_from_file_location("shown", ROOT / "hubconf.py")
    shown = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shown)
    parameters = inspect.signature(getattr(shown, entry)).parameters
    named = {
        "zoo": ZOOS.get(entry, "dp-slm"),
        "map_location": "cpu",
        "progress": True,
        "registry": None,
    }
    named |= {"with_ulm": True, "weights": None} if entry == "pipeline" else {"checkpoint": None}
    assert {name: parameters[name].default for name in named} == named
    assert "map_location: 'str | torch.device' = 'cpu'" in str(inspect.signature(getattr(shown, entry)))
    assert all(each.kind is not each.VAR_KEYWORD for each in parameters.values())


@pytest.mark.parametrize("loader", [hub.pipeline, hub.encoder, hub.quantizer, hub.language_model, hub.codec])
def test_loaders_show_every_option_and_refuse_others(loader):
    parameters = inspect.signature(loader).parameters
    assert {"zoo", "registry", "map_location", "progress", "k", "lmbda"} <= set(parameters)
    assert ("checkpoint" in parameters) == (loader is not hub.pipeline)
    with pytest.raises(TypeError, match=r"'device' is no option.*map_location"):
        loader(zoo="demo", device="cpu")


def test_the_published_way_of_use(registry, speech):
    """The calls of the published readme, by their names and in their order, on files in the published formats."""
    folder, (wav, sr) = registry.parent, speech
    wavlm, extract_features = load("wavlm_large", checkpoint=folder / "wavlm.pt")
    features = extract_features(wavlm, wav, sr, layer=3)
    codebook = load("codebook", layer=3, k=20, checkpoint=folder / "codebook.pt")
    quantizer = load("dpdp_quantizer_from_codebook", codebook=codebook, lmbda=4.0, num_neighbors=6)
    quantized, duped = quantizer(features)
    assert quantized.shape == features.shape
    units = torch.unique_consecutive(duped)
    ulm, tokenizer = load("ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k", k=20, lmbda=4.0, checkpoint=folder / "ulm.pt")
    assert ulm.loglikelihood(tokenizer.encode(units.tolist())) < 0
    ellav = load("ellav_units_to_wavtokenizer", k=20, lmbda=4.0, checkpoint=folder / "ellav.pt")
    prompt = [f"u{unit}" for unit in units.tolist()]
    codes, finished = ellav.generate(
        prompts=[prompt] * 3, max_tokens=1000, max_codec_tokens_per_phone=10, temperature=1.0, top_p=0.8
    )
    assert len(codes) == len(finished) == 3
    codec, encode, vocode = load("small_600_24k_4096", checkpoint=folder / "wavtokenizer.ckpt")
    for ids in codes:
        spoken, rate = vocode(codec, ids[None, None, :])
        assert (spoken.shape, rate) == ((1, len(ids) * 600), 24000)
    assert encode(codec, wav, sr).shape[:2] == (1, 1)


def test_operating_points_of_a_zoo(registry):
    point = OperatingPoint(zoo="tiny", encoder="tiny", layer=3, k=20, lmbda=4.0, num_neighbors=6)
    assert dp_slm.ulm(zoo="tiny", registry=registry)[0].operating_point == point
    assert dp_slm.ellav(zoo="tiny", registry=registry, k=20).operating_point == point
    assert dp_slm.quantizer(zoo="tiny", registry=registry).operating_point == point
    other = dp_slm.quantizer(zoo="tiny", registry=registry, k=20, lmbda=7, num_neighbors=20)
    assert (other.operating_point.lmbda, other.num_neighbors) == (7, 20)
    assert dp_slm.wavlm(zoo="tiny", registry=registry)[0].operating_point == OperatingPoint(zoo="tiny", encoder="tiny")


@pytest.fixture
def two_variants(registry, tmp_path) -> Path:
    """A registry of zoo "mine": two language models at one operating point, called as the published variants are."""
    torch.manual_seed(0)
    model, _ = dp_slm.ulm(zoo="tiny", registry=registry)
    model.operating_point = None
    for name in ("short", "long"):
        torch.nn.init.normal_(model.transformer.norm.weight)
        files.save(tmp_path / f"{name}.safetensors", model.checkpoint({"name": name}))
    shutil.copy(registry.parent / "wavtokenizer.ckpt", tmp_path / "codec.ckpt")
    point = {"kind": "ulm", "k": 20, "lmbda": 4.0}
    rows = [
        {**point, "variant": "hours_1k_steps_10k", "file": "short.safetensors"},
        {**point, "variant": "hours_60k_steps_200k", "file": "long.safetensors"},
        {"kind": "wavtokenizer", "variant": "a", "file": "codec.ckpt"},
        {"kind": "wavtokenizer", "variant": "b", "file": "codec.ckpt"},
    ]
    about = {"format": "slmzoo-registry", "version": 1, "zoo": "mine", "rows": rows}
    (tmp_path / "mine.json").write_text(json.dumps(about))
    return tmp_path / "mine.json"


@pytest.mark.parametrize(("variant", "name"), [("hours_1k_steps_10k", "short"), ("hours_60k_steps_200k", "long")])
def test_an_entry_point_gives_its_own_variant_of_any_zoo(two_variants, variant, name):
    model, _ = load(f"ulm_wavlm_layer_11_dpdp_{variant}", zoo="mine", registry=two_variants)
    expected = files.read(two_variants.parent / f"{name}.safetensors", "ulm", dict).state
    assert all(torch.equal(tensor, expected[key]) for key, tensor in model.state_dict().items())


def test_a_variant_that_a_zoo_does_not_have_is_refused_where_it_has_several(two_variants, registry):
    for entry in ("small_600_24k_4096", "small_320_24k_4096"):
        with pytest.raises(ValueError, match=rf"`variant` must be one of a, b, but is '{entry}'"):
            load(entry, zoo="mine", registry=two_variants)
    for entry in ("ulm_wavlm_layer_11_dpdp_hours_60k_steps_200k", "small_320_24k_4096"):
        assert load(entry, zoo="tiny", registry=registry)  # a zoo with a single one gives that
    with pytest.raises(ValueError, match=r"`variant` must be one of units, but is 'phones'"):
        load("ellav_phones_to_wavtokenizer", zoo="tiny", registry=registry)


@pytest.mark.parametrize(
    ("entry", "option", "advice"),
    [
        ("pipeline", "device", "Did you mean map_location"),
        ("wavlm_large", "checkpont", "Did you mean checkpoint"),
        ("wavlm_large", "layer", "Options: zoo, checkpoint, map_location, progress, registry"),
        ("small_600_24k_4096", "registries", "Did you mean registry"),
    ],
)
def test_an_option_that_does_not_exist_is_named_with_those_that_do(entry, option, advice):
    with pytest.raises(TypeError, match=rf"'{option}' is no option.*{advice}"):
        load(entry, zoo="demo", **{option: 1})


def test_files_under_the_name_of_another_zoo_are_told_how_zoos_are_called(registry, tmp_path):
    model, _ = dp_slm.ulm(zoo="tiny", registry=registry)
    files.save(tmp_path / "ulm.safetensors", model.checkpoint())
    row = {"kind": "ulm", "k": 20, "lmbda": 4.0, "file": "ulm.safetensors"}
    about = {"format": "slmzoo-registry", "version": 1, "zoo": "other", "rows": [row]}
    (tmp_path / "zoo.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"zoo: tiny != other.*registry must call its zoo by the name"):
        dp_slm.ulm(zoo="other", registry=tmp_path / "zoo.json")


def test_five_percent_of_k_are_the_neighbours_where_the_zoo_says_nothing(registry):
    made = dp_slm.quantizer(k=20, lmbda=0, checkpoint=registry.parent / "codebook.pt")
    assert made.num_neighbors == 1
    assert dp_slm.quantizer(torch.randn(20, 4), 0).num_neighbors is None


def test_an_operating_point_that_is_not_listed_lists_those_that_are():
    for entry in ("ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k", "ellav_units_to_wavtokenizer", "pipeline"):
        with pytest.raises(ValueError, match=r"\(500, 4500\).*\(1000, 6000\)"):
            load(entry, k=500, lmbda=4501)
    with pytest.raises(ValueError, match=r"100.*200.*500.*1000.*2000"):
        load("codebook", k=300)
    with pytest.raises(ValueError, match="demo"):
        load("pipeline", zoo="nowhere")


def test_a_checkpoint_of_another_size_or_point_is_refused(registry, tmp_path):
    ulm_file = registry.parent / "ulm.pt"
    with pytest.raises(ValueError, match=r"`k`.*20"):
        load("ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k", k=500, lmbda=4, checkpoint=ulm_file)
    model, _ = dp_slm.ulm(zoo="tiny", registry=registry)
    files.save(tmp_path / "ulm.safetensors", model.checkpoint())
    again, _ = load("ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k", checkpoint=tmp_path / "ulm.safetensors")
    assert again.operating_point == model.operating_point
    with pytest.raises(ValueError, match=r"lmbda: 4.0 != 5"):
        load("ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k", lmbda=5, checkpoint=tmp_path / "ulm.safetensors")
    with pytest.raises(ValueError, match="kind"):
        load("ellav_units_to_wavtokenizer", checkpoint=tmp_path / "ulm.safetensors")


def test_an_unknown_lambda_is_told_once(registry, caplog):
    copy = registry.parent / "unknown.pt"
    shutil.copy(registry.parent / "ulm.pt", copy)
    with caplog.at_level(logging.WARNING):
        dp_slm.ulm(checkpoint=copy)
        dp_slm.ulm(checkpoint=copy)
    assert sum("lambda" in record.message for record in caplog.records) == 1


def test_quantizer_arguments(registry):
    with pytest.raises(ValueError, match="lmbda"):
        load("dpdp_quantizer_from_codebook", codebook=torch.randn(5, 4))
    with pytest.raises(ValueError, match="codebook"):
        load("dpdp_quantizer_from_codebook", codebook=torch.randn(5, 4), lmbda=1, k=5)
    empty = load("dpdp_quantizer", 5, 4, lmbda=0.5, num_neighbors=3)
    empty.load_state_dict({"codebook": torch.eye(5, 4)})
    assert empty(torch.eye(5, 4)[:3])[1].tolist() == [0, 1, 2]
    for name, bad in (("codebook_size", 0), ("codebook_dim", 2.5)):
        with pytest.raises(ValueError, match=name):
            load("dpdp_quantizer", **{"codebook_size": 5, "codebook_dim": 4, "lmbda": 1.0, name: bad})


def test_codec_without_weights():
    codec, _encode, decode = load("small_320_24k_4096", pretrained=False)
    wav, rate = decode(codec, torch.zeros(1, 1, 3, dtype=torch.int64))
    assert (wav.shape, rate) == ((1, 960), 24000)


def test_phoneme_model(registry, tmp_path):
    tokenizer = tmp_path / "phonemes.json"
    tokenizer.write_text('{"phoneme_to_id": {"AA": 2, "B": 3}, "delimiter": " "}')
    plm, reader = load(
        "plm_us_arpa_hours_1k_steps_10k", k=1, checkpoint=registry.parent / "ulm.pt", tokenizer=tokenizer
    )
    assert plm.loglikelihood(reader.encode("AA B")) < 0
    with pytest.raises(ValueError, match="tokenizer"):
        load("plm_us_arpa_hours_1k_steps_10k", checkpoint=registry.parent / "ulm.pt")


SNIPPET = "import torch; torch.hub.load({root!r}, 'codebook', checkpoint={file!r}, source='local', trust_repo=True)"


def run_python(code: str, folder: Path, *path: Path) -> subprocess.CompletedProcess:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": ":".join(map(str, path)), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


def copied(to: Path) -> Path:
    for name in ("slmcore", "slmzoo", "wavlm_codebooks", "dpdp", "mistral_ulm", "ellav", "wavtokenizer"):
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    shutil.copy(ROOT / "hubconf.py", to)
    return to


@pytest.mark.parametrize("name", ["dpdp", "ellav"])
def test_another_repositorys_package_is_not_mistaken_for_ours(registry, tmp_path, name):
    (tmp_path / "other" / name).mkdir(parents=True)
    (tmp_path / "other" / name / "__init__.py").write_text("")
    code = f"import {name};" + SNIPPET.format(root=str(ROOT), file=str(registry.parent / "codebook.pt"))
    done = run_python(code, tmp_path, tmp_path / "other")
    assert done.returncode != 0
    assert f"package {name!r} is already imported" in done.stderr


def test_an_installed_slmzoo_of_the_same_version_is_fine(registry, tmp_path):
    repo = copied(tmp_path / "repo")
    code = "import slmzoo.hub, dpdp;" + SNIPPET.format(root=str(repo), file=str(registry.parent / "codebook.pt"))
    done = run_python(code, tmp_path, ROOT)
    assert done.returncode == 0, done.stderr
    init = repo / "slmzoo" / "__init__.py"
    init.write_text(init.read_text().replace('__version__ = "', '__version__ = "9'))
    done = run_python(code, tmp_path, ROOT)
    assert "already imported" in done.stderr


def test_a_clone_that_was_imported_from_the_folder_above_is_loaded_all_the_same(registry, tmp_path):
    copied(tmp_path / "slmzoo")
    snippet = SNIPPET.format(root="slmzoo", file=str(registry.parent / "codebook.pt"))
    # A namespace package where slmzoo is not installed, or installed by a finder; else the installed one.
    code = f"import slmzoo; {snippet}; import slmzoo; print(slmzoo.__version__)"
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["0.1.0"]


def test_everything_needed_is_imported_when_an_entry_returns(registry, tmp_path):
    """torch.hub takes the repository off sys.path once an entry point has returned."""
    repo = copied(tmp_path / "repo")
    code = (
        f"import torch; p = torch.hub.load({str(repo)!r}, 'pipeline', zoo='tiny', registry={str(registry)!r},"
        "source='local', trust_repo=True);"
        "w = torch.randn(1, 4000) * 0.1; p.loglikelihood(wav=w, sr=16000); p.resynthesize(w, 22050); p.double().half()"
    )
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr


def test_importing_changes_and_prints_nothing(tmp_path):
    code = (
        "import torch, random, numpy as np, logging; t = torch.get_num_threads(), torch.get_default_dtype(),"
        "torch.is_grad_enabled(), torch.initial_seed(), logging.root.level, np.random.get_state()[1][0];"
        "import slmzoo.hub, slmzoo.cli, slmzoo.commands.speech.resynth;"
        "assert t == (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),"
        "torch.initial_seed(), logging.root.level, np.random.get_state()[1][0])"
    )
    done = run_python(code, tmp_path, ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.slow
def test_the_published_way_at_full_size(tmp_path, speech):
    """WavLM Large, k=500, the 12-layer language model and the 40 Hz codec at their published sizes."""
    golden = {name: golden_json(name) for name in ("wavlm_large", "ulm_full", "wavtokenizer_small_600")}
    args = golden["ulm_full"]["model_args"]
    contents = {
        "wavlm.pt": {"cfg": golden["wavlm_large"]["cfg"], "model": recipe_state(golden["wavlm_large"]["state_dict"])},
        "codebook.pt": {"codebook": recipe_state({"codebook": ((500, 1024), "float32")})["codebook"] * 32},
        "ulm.pt": tiny_zoo.published_ulm(args),
        "ellav.pt": tiny_zoo.published_ellav(500, 4096, {k: v for k, v in args.items() if k != "dropout"}),
        "codec.ckpt": tiny_zoo.published_codec(golden["wavtokenizer_small_600"]["state_dict"], 512),
    }
    for name, content in contents.items():
        torch.save(content, tmp_path / name)
    del contents
    wav, sr = speech
    wavlm, extract_features = load("wavlm_large", checkpoint=tmp_path / "wavlm.pt")
    features = extract_features(wavlm, wav, sr, layer=11)
    codebook = load("codebook", layer=11, k=500, checkpoint=tmp_path / "codebook.pt")
    quantizer = load("dpdp_quantizer_from_codebook", codebook=codebook, lmbda=100, num_neighbors=25)
    units = torch.unique_consecutive(quantizer(features)[1])[:10]
    ulm, tokenizer = load(
        "ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k", k=500, lmbda=4500, checkpoint=tmp_path / "ulm.pt"
    )
    assert ulm.loglikelihood(tokenizer.encode(units.tolist())) < 0
    ellav = load("ellav_units_to_wavtokenizer", k=500, lmbda=4500, checkpoint=tmp_path / "ellav.pt")
    codes, _ = ellav.generate([[f"u{u}" for u in units.tolist()]], 1000, 10, temperature=1.0, top_p=0.8)
    codec, _, vocode = load("small_600_24k_4096", checkpoint=tmp_path / "codec.ckpt")
    spoken, rate = vocode(codec, codes[0][None, None, :])
    assert (spoken.shape, rate) == ((1, len(codes[0]) * 600), 24000)
    assert torch.isfinite(spoken).all()
