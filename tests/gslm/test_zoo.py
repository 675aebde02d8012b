from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from slmcore.files import registry
from slmzoo import systems
from slmzoo.kinds import KINDS
from slmzoo.sources import Choice, Source

OURS = ("gslm_ulm", "gslm_tacotron", "gslm_codes", "waveglow")


def rows(kind: str) -> tuple:
    return registry.rows("gslm", kind)


def test_every_file_has_a_row():
    assert Counter(row.kind for row in registry.rows("gslm") if row.kind in OURS) == dict(
        zip(OURS, (12, 12, 12, 1), strict=True)
    )
    assert {row.variant for row in rows("gslm_ulm")} == {"hubert", "cpc", "w2v2", "logmel"}
    assert all(KINDS[row.kind] for row in registry.rows("gslm"))
    assert registry.system_of("gslm") == "gslm"
    urls = [row.url for row in registry.rows("gslm")]
    assert len(set(urls)) == len(urls)


@pytest.mark.parametrize(
    ("kind", "features", "k", "end", "digits"),
    [
        ("gslm_ulm", "hubert", 200, "/hubert/lm_km200/hubert200_lm.tgz", ""),
        ("gslm_ulm", "w2v2", 50, "/w2v2/lm_km50/w2v2_50_lm.tgz", ""),
        ("gslm_tacotron", "cpc", 100, "/cpc/tts_km100/tts_checkpoint_best.pt", "6cfe1ce4"),
        ("gslm_tacotron", "logmel", 100, "/logmel/tts_km100/tts_checkpoint_best.pt", ""),
        ("gslm_codes", "hubert", 100, "/hubert/tts_km100/code_dict", "6d506216"),
    ],
)
def test_rows_are_found_by_features_and_k(kind, features, k, end, digits):
    row = registry.find(kind, zoo="gslm", variant=features, k=k)
    assert row.url == f"https://dl.fbaipublicfiles.com/textless_nlp/gslm{end}"
    assert row.sha256[:8] == digits
    assert len(row.sha256) == (64 if digits else 0)
    assert (row.k, row.lmbda, row.num_neighbors) == (k, 0.0, k)


def test_md5_sums_are_told_where_nothing_better_is_known():
    claimed = [row for row in rows("gslm_tacotron") if row.claimed]
    assert {(row.variant, row.sha256) for row in claimed} == {("logmel", ""), ("w2v2", "")}
    assert len(claimed) == 6


def test_hubert_with_100_units_is_meant_where_nothing_is_named():
    where = Source(zoo="gslm")
    wanted = systems.of(where).choice(where, Choice(), True)
    assert (wanted.variant, wanted.k, wanted.lmbda) == ("hubert", 100, 0.0)
    other = systems.of(where).choice(where, Choice(variant="cpc", k=50), True)
    assert (other.variant, other.k) == ("cpc", 50)
    with pytest.raises(ValueError, match=r"`variant` must be features .*hubert.*logmel"):
        systems.of(where).choice(where, Choice(variant="wavlm"), True)


def test_the_files_of_the_evaluation_are_known():
    known = {row.variant: row for row in rows("gslm_evaluation")}
    assert set(known) == {"dev_prompts", "test_prompts", "dev_continuations", "test_continuations", "lexicon"}
    ends = {"test_continuations": "ground_truth_continuation_test.json", "dev_prompts": "dev_prompts.tgz"}
    for variant, end in ends.items():
        base = "https://dl.fbaipublicfiles.com/textless_nlp/gslm/eval_data/"
        assert (known[variant].url, known[variant].sha256) == (base + end, "")
    assert KINDS["gslm_evaluation"].load("some.json") == Path("some.json")


def test_files_of_one_name_are_known_as_such():
    assert {"code_dict", "tts_checkpoint_best.pt"} <= registry.shared_names()
    assert not {"hubert100_lm.tgz", "waveglow_256channels_standalone.pt"} & registry.shared_names()
