from __future__ import annotations

from typing import Any

import pytest
import torch

from slmcore.units import Codes
from slmzoo import hub
from slmzoo.evaluation.slmtokbench.tokens import codec_tokens, tokens_of, unit_tokens
from slmzoo.pipeline import Pipeline
from tests.reference import goldens
from tests.reference.codec_files import soundstream_file
from tests.reference.uslm import tiny, zoo


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return hub.pipeline(zoo="mine", registry=zoo(tmp_path_factory.mktemp("mine"), tiny()))


def speech() -> tuple[torch.Tensor, int]:
    wav, sr = goldens.speech()
    return wav[:, :6400], sr


def test_levels_of_a_codec_are_streams(pipeline):
    made: Any = tokens_of(pipeline)
    codec: Any = pipeline.codec
    assert (made.streams, made.size, made.units) == (4, 64, False)
    tokens = made.encode(*speech())
    assert torch.equal(tokens, codec.encode_wav(*speech()).codes)
    for number in (1, 3, 4):
        wav, sr = made.speak(*speech(), tokens[:number])
        assert torch.equal(wav, codec.decode_codes(Codes(tokens[:number], 50.0, 64)))
        assert sr == 16000
    assert [made.label(number) for number in (1, 2, 4)] == ["RVQ-1", "RVQ-1:2", "RVQ-1:4"]


def test_code_vectors_are_what_the_decoder_adds(pipeline):
    made: Any = codec_tokens(pipeline.codec)
    codes = made.encode(*speech())
    added = torch.stack([made.vectors[level][codes[level]] for level in range(4)]).sum(0)
    torch.testing.assert_close(added.T, pipeline.codec.quantizer.decode(codes[:, None])[0], atol=1e-5, rtol=1e-5)


def test_units_of_a_pipeline_are_one_stream(pipeline):
    alone = Pipeline(pipeline.encoder, pipeline.quantizer)
    made: Any = tokens_of(alone)
    assert (made.streams, made.size, made.units, made.speak) == (1, 64, True, None)
    assert torch.equal(made.encode(*speech())[0], alone.units(*speech()).framewise())
    assert torch.equal(made.vectors[0], pipeline.quantizer.codebook)
    assert made.label(1) == "units"
    with pytest.raises(ValueError, match="`codes` must be left out for a system without a codec"):
        tokens_of(alone, codes=True)


def test_units_are_spoken_by_the_synthesizer():
    pipeline: Any = hub.pipeline(zoo="demo", with_ulm=False)
    made: Any = tokens_of(pipeline)
    assert made.units
    wav, sr = speech()
    spoken, rate = made.speak(wav, sr, made.encode(wav, sr))
    wanted = pipeline.resynthesize(wav, sr, top_p=0.0)[0]
    assert torch.equal(spoken, wanted.wav)
    assert rate == wanted.sample_rate
    codes = tokens_of(pipeline, codes=True)
    assert (codes.streams, codes.size, codes.units) == (1, pipeline.codec.num_codes, False)
    assert codes.vectors is None
    assert (made.label(1), codes.label(1)) == ("units", "codes")
    assert unit_tokens(pipeline).size == pipeline.k


@pytest.mark.parametrize(("wanted", "found"), [((), [1, 4]), ((4, 2, 2), [2, 4]), ((1,), [1])])
def test_numbers_of_streams(pipeline, wanted, found):
    assert codec_tokens(pipeline.codec).numbers(wanted) == found


@pytest.mark.parametrize("wrong", [0, 5, -1])
def test_more_levels_than_there_are_are_refused(pipeline, wrong):
    with pytest.raises(ValueError, match=f"`levels` must be from 1 to 4, all that there are, but is {wrong}"):
        codec_tokens(pipeline.codec).numbers([1, wrong])


def test_a_codec_of_another_kind_has_streams_too(tmp_path):
    import soundstream

    soundstream_file(tmp_path / "soundstream.pt", *goldens.load("soundstream_small"), flat=True)
    made: Any = codec_tokens(soundstream.load(tmp_path / "soundstream.pt", sample_rate=3000))
    assert (made.streams, made.size) == (4, 1024)
    tokens = made.encode(*speech())
    wav, sr = made.speak(*speech(), tokens[:2])
    assert (sr, wav.shape[0]) == (3000, 1)
    assert made.vectors.shape[:2] == (4, 1024)
