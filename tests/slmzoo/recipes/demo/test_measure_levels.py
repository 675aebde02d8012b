"""The first level of codecs: one that names the phones, and one that names nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from slmcore import audio
from slmcore.files.checkpoint import save
from slmcore.units import Codes
from slmzoo.evaluation.units.phones import labels
from slmzoo.evaluation.units.textgrid import phones
from slmzoo.recipes.demo import measure_levels
from slmzoo.recipes.demo.measure_levels import Options, levels_of, measure
from slmzoo.recipes.mini import benchmark
from slmzoo.recipes.mini.benchmark import Mini
from speechtokenizer import SpeechTokenizer, SpeechTokenizerConfig
from tests.reference.programs import needs_flite

RATE, SIZE = 50.0, 64


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Mini:
    return benchmark.make(tmp_path_factory.mktemp("mini"), 2)


class PhoneCodec:
    """Level 1 is the number of the phone, level 2 of the recording; three levels decode to it, fewer to silence."""

    sample_rate, frame_rate, num_codes, num_codebooks = 16000, RATE, SIZE, 3
    first_codebook = torch.eye(SIZE)

    def __init__(self, mini: Mini) -> None:
        self.files = sorted(mini.sentences.glob("*.wav"))
        self.wavs = [audio.load(file)[0] for file in self.files]
        self.names: dict[str | None, int] = {}

    def encode_wav(self, wav: Tensor, sr: int) -> Codes:
        (index,) = [i for i, each in enumerate(self.wavs) if torch.equal(each, wav)]
        alignment = phones(self.files[index].with_suffix(".TextGrid"))
        frames = -(-wav.shape[1] // 320)
        numbers = [self.names.setdefault(label, len(self.names)) for label in labels(alignment, frames, RATE)]
        return Codes(torch.tensor([numbers, [index] * frames, [0] * frames]), RATE, SIZE)

    def decode_codes(self, codes: Codes) -> Tensor:
        found = self.wavs[int(codes.codes[min(1, len(codes.codes) - 1), 0])]
        return found if codes.num_codebooks == 3 else torch.zeros_like(found)


class BlindCodec(PhoneCodec):
    """The same with one code for all."""

    def encode_wav(self, wav: Tensor, sr: int) -> Codes:
        codes = super().encode_wav(wav, sr).codes
        return Codes(torch.stack([0 * codes[0], codes[1], codes[2]]), RATE, SIZE)


@needs_flite
def test_a_codec_that_names_phones_is_told_from_one_that_does_not(mini: Mini, tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    found = {kind: measure(kind(mini), mini, tmp_path / kind.__name__) for kind in (PhoneCodec, BlindCodec)}
    knowing, blind = found[PhoneCodec]["level_1"], found[BlindCodec]["level_1"]
    assert knowing["phone_purity"][0] == knowing["pnmi"][0] == 1.0
    assert blind["phone_purity"][0] < 0.3
    assert blind["pnmi"][0] == 0.0
    for speakers in ("within", "across"):
        assert knowing[f"abx_{speakers}"][0] < 1e-3
        assert blind[f"abx_{speakers}"][0] == 0.5
    wer = found[PhoneCodec]["wer"]
    assert list(wer) == ["original", "1", "2", "3"]
    assert wer["3"] == wer["original"]
    assert min(wer["1"][0], wer["2"][0]) > 0.9
    assert wer["original"][0] < 0.5


@pytest.mark.parametrize(
    ("most", "levels"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))]
)
def test_copies_are_made_of_powers_of_two_and_of_all(most: int, levels: tuple[int, ...]) -> None:
    codec = SpeechTokenizer(SpeechTokenizerConfig(strides=(4,), n_filters=2, dimension=4, num_codebooks=most))
    assert levels_of(codec) == levels


@needs_flite
def test_the_command_writes_the_figures_of_each_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pocketsphinx")
    torch.manual_seed(0)
    sizes = {"strides": (4, 8, 10), "n_filters": 2, "dimension": 8, "codebook_size": 16, "num_codebooks": 2}
    for name in ("a", "b"):
        model = SpeechTokenizer(SpeechTokenizerConfig(semantic_dimension=8, **sizes))
        save(tmp_path / f"{name}.safetensors", model.checkpoint())
    files = [f"first={tmp_path / 'a.safetensors'}", str(tmp_path / "b.safetensors")]
    arguments = ["measure_levels", "--out", str(tmp_path / "out"), "--most", "1", "--models", *files]
    monkeypatch.setattr(sys, "argv", arguments)
    measure_levels.main()
    found = json.loads((tmp_path / "out" / "levels.json").read_text())
    assert list(found) == ["first", "b"]
    assert set(found["b"]["level_1"]) == {"phone_purity", "pnmi", "abx_within", "abx_across"}
    assert list(found["b"]["wer"]) == ["original", "1", "2"]
    assert len(list((tmp_path / "out" / "b" / "levels-2").glob("*.wav"))) == 1


def test_what_cannot_be_measured_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="files of different names"):
        _ = Options(out=tmp_path, models=["x/a.pt", "a=b.pt"]).named
    demo = Path(__file__).parents[4] / "slmzoo" / "demo"
    for file in ("wavtokenizer.safetensors", "ulm.safetensors"):
        monkeypatch.setattr(sys, "argv", ["measure_levels", "--out", str(tmp_path), "--models", str(demo / file)])
        with pytest.raises(ValueError, match=f"codecs of several levels, but is .*{file}"):
            measure_levels.main()
