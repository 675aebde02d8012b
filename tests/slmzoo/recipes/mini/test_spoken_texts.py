from __future__ import annotations

from slmzoo.recipes.mini.benchmark import VOICES, Mini
from slmzoo.recipes.mini.items import SENTENCES
from slmzoo.recipes.mini.spoken_texts import spoken_texts


def test_sentences_are_held_out_in_both_voices(tmp_path):
    made = Mini(folder=tmp_path)
    made.sentences.mkdir()
    for kind, sentences in SENTENCES.items():
        for number in range(len(sentences)):
            for voice in VOICES:
                (made.sentences / f"{kind}-{number:02d}-{voice}.wav").touch()
    (made.sentences / "extra.wav").touch()
    train, test, texts = spoken_texts(made)
    assert set(texts) == train.keys() | test.keys()
    assert not {name.rpartition("-")[0] for name in train} & {name.rpartition("-")[0] for name in test}
    assert len(train) + len(test) == 2 * sum(map(len, SENTENCES.values()))
    assert len(test) == 2 * sum(-(-(len(some) - 1) // 5) for some in SENTENCES.values())
    assert not {texts[name] for name in train} & {texts[name] for name in test}
    letters = [{letter for name in some for letter in texts[name]} for some in (train, test)]
    assert letters[1] <= letters[0]
    assert texts["grammar-01-rms"] == "somebody is coughing in the castle"
