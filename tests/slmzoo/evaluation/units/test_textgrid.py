from __future__ import annotations

from pathlib import Path

import pytest

from slmzoo.evaluation.units.textgrid import Phone, phones, tiers

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1.5
            text = "he said ""5"" ! 7"
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 1.5
        points: size = 1
        points [1]:
            number = 0.7
            mark = "click"
    item [3]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = ""
        intervals [2]:
            xmin = 0.5
            xmax = 1e0
            text = "AH0"
        intervals [3]:
            xmin = 1.0
            xmax = 1.5
            text = "spn"
"""
SHORT = """"ooTextFile"
"TextGrid"
0 1.5 <exists> 3 ! three tiers
"IntervalTier" "words" 0 1.5 1 0 1.5 "he said ""5"" ! 7"
"TextTier" "clicks" 0 1.5 1
0.7
"click"
"IntervalTier"
"phones"
0
1.5
3
0 0.5 ""
0.5 1.0 "AH0"
1.0 1.5 "spn"
"""
EXPECTED = [Phone(0, 0.5, "sil"), Phone(0.5, 1.0, "AH"), Phone(1.0, 1.5, "sil")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("text", [LONG, SHORT], ids=["long", "short"])
def test_both_formats_say_the_same(tmp_path: Path, text: str, encoding: str):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(text.encode(encoding))
    found = tiers(path)
    assert list(found) == ["words", "phones"]
    assert found["words"] == [Phone(0, 1.5, 'he said "5" ! 7')]
    assert found["phones"][1] == Phone(0.5, 1.0, "AH0")
    assert phones(path) == EXPECTED


def test_a_tier_of_one_speaker_is_found_and_a_missing_one_named(tmp_path: Path):
    path = tmp_path / "a.TextGrid"
    path.write_text(LONG.replace('"phones"', '"ann - phones"'))
    assert phones(path) == EXPECTED
    with pytest.raises(ValueError, match=r"words.*ann - phones"):
        phones(path, "syllables")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a TextGrid",
        LONG[:-40],
        LONG.replace('"TextGrid"', '"Pitch"'),
        LONG.replace("xmax = 1e0", "xmax = 1.2"),
        LONG.replace("size = 3\nitem", 'size = "many"\nitem'),
        "\udcff",
    ],
)
def test_what_is_none_is_refused(tmp_path: Path, text: str):
    path = tmp_path / "a.TextGrid"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=r"a\.TextGrid"):
        tiers(path)
