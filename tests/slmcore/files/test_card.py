from __future__ import annotations

import inspect

import pytest
import torch
import yaml

import hubconf
from dpdp import DPDPQuantizer
from slmcore.clustering.codebook import Codebook
from slmcore.files.card import is_generated, table
from slmcore.files.pretrained import Savable
from slmcore.units import OperatingPoint
from slmzoo.kinds import KINDS, imported
from tests.reference.soundstream import small as small_soundstream
from tests.speechtokenizer.test_model import small as small_speechtokenizer
from tests.twist.test_vocoder import made as small_vocoder

POINT = OperatingPoint(zoo="tiny", encoder="wavlm_large", layer=11, k=3, lmbda=9.5)


def book() -> Codebook:
    return Codebook(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), POINT)


def header(text: str) -> dict:
    return yaml.safe_load(text.split("---\n")[1])


def subclasses(kind: type) -> set[type]:
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_a_card_states_point_and_sizes(tmp_path):
    book().save_pretrained(tmp_path / "codes", {"recipe": "k-means", "data": "LJ | VCTK"})
    text = (tmp_path / "codes" / "README.md").read_text()
    assert header(text)["tags"] == ["slmzoo", "speech", "codebook"]
    for line in ("| lambda | 9.5 |", "| layer | 11 |", "| parameters | 12 |", "| recipe | k-means |"):
        assert f"\n{line}\n" in text
    assert "| data | LJ \\| VCTK |" in text
    assert "from slmcore.clustering.codebook import Codebook\n" in text
    assert 'torch.hub.load("slmzoo/slmzoo", "codebook", checkpoint="codes/model.safetensors")' in text


def test_facts_that_are_unknown_are_left_out_or_named_so():
    text = Codebook(torch.ones(2, 5)).model_card("hf://lab/codes").text()
    assert header(text)["license"] == "unknown"
    assert "## Provenance\n\nNot stated." in text
    assert "Operating point" not in text
    assert "Scores" not in text


@pytest.mark.parametrize(
    ("model", "tag", "line"),
    [
        (lambda: small_soundstream("causal"), "audio-to-audio", "A speech codec of kind `soundstream`"),
        (small_speechtokenizer, "audio-to-audio", "A speech codec of kind `speechtokenizer`"),
        (lambda: small_vocoder(duration_width=4), "audio-to-audio", "A model of speech of kind `unit_hifigan`"),
        (lambda: DPDPQuantizer(torch.ones(3, 4), 2.0), "feature-extraction", "A quantiser of speech features of kind"),
    ],
)
def test_models_are_presented_by_their_role(model, tag, line):
    made = model()
    text = made.model_card("hf://lab/model").text()
    assert header(text)["pipeline_tag"] == tag
    assert line in text
    name = type(made).__name__
    _, where, _, imported_name = text.split("```python\n")[1].split("\n")[0].split()
    assert imported_name == name
    assert imported(f"{where}:{name}") is type(made)


@pytest.mark.parametrize(
    ("licence", "lines"),
    [
        ("MIT", {"license": "mit"}),
        ("CC BY-NC 4.0", {"license": "cc-by-nc-4.0"}),
        ("not stated", {"license": "unknown"}),
        ("lab: ask", {"license": "other", "license_name": "lab: ask"}),
    ],
)
def test_licences_by_the_names_of_the_hub(licence, lines):
    found = header(book().model_card("x", {"licence": licence}).text())
    assert {name: value for name, value in found.items() if name.startswith("license")} == lines


def test_scores_are_a_table_of_their_own():
    text = book().model_card("x", {"scores": {"ABX within": 0.0812, "bit rate": 190}}).text()
    scores = text.split("## Scores")[1]
    assert "| ABX within | 0.0812 |" in scores
    assert "| bit rate | 190 |" in scores
    assert "0.0812" not in text.split("## Scores")[0]


def test_generated_cards_are_replaced_and_those_of_people_kept(tmp_path):
    readme = tmp_path / "README.md"
    book().save_pretrained(tmp_path, {"licence": "MIT"})
    book().save_pretrained(tmp_path, {"licence": "Apache 2.0"})
    text = readme.read_text()
    assert header(text)["license"] == "apache-2.0"
    assert is_generated(text)
    for words in (text.replace("# Codebook", "# Codes"), "mine\n", "", text + "More.\n"):
        readme.write_text(words)
        book().save_pretrained(tmp_path, {"licence": "MIT"})
        assert readme.read_text() == words
    assert Codebook.from_pretrained(tmp_path).k == 3


def test_entry_points_exist_and_take_a_checkpoint():
    for kind in KINDS.values():
        imported(kind.loader)
    named = {each.entry_point for each in subclasses(Savable) if each.entry_point is not None}
    assert len(named) > 12
    for name in named:
        assert "checkpoint" in inspect.signature(getattr(hubconf, name)).parameters


def test_a_table():
    assert table(["a", "b"], [["1", "2"], ["3", ""]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 |  |\n"
