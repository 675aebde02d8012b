from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slmcore.units import Units
from slmzoo.pipeline import Pipeline
from tests.reference import chain as reference
from tests.reference import goldens, tiny_zoo
from tests.reference.recipe import GOLDEN

pytestmark = pytest.mark.golden
ROOT = Path(__file__).parents[2]


def test_the_entry_point_gives_the_golden_features(tmp_path: Path) -> None:
    about, arrays = goldens.load("wavlm_small")
    path = tmp_path / "wavlm.pt"
    torch.save({"cfg": about["cfg"], "model": goldens.weights(about["state_dict"])}, path)
    model, extract_features = torch.hub.load(str(ROOT), "wavlm_large", source="local", checkpoint=str(path))
    wav = goldens.noise(16000 + goldens.seed(), goldens.seed())
    for layer in (1, 3, 4, None):
        expected = torch.from_numpy(arrays[f"noise16k/layer{layer}"])
        assert (extract_features(model, wav, 16000, layer) - expected).abs().max() < 1e-3 * expected.std()


@pytest.fixture(scope="module")
def chain() -> tuple[dict, np.ndarray]:
    """Units, likelihood, codec tokens and sound of one input: see tests/reference/chain.py, which composed them."""
    return reference.load(goldens.folder())


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    registry = tiny_zoo.write(tmp_path_factory.mktemp("chain"), goldens.seed())
    return torch.hub.load(str(ROOT), "pipeline", source="local", zoo="tiny", registry=registry)


@pytest.fixture(scope="module")
def wav() -> torch.Tensor:
    return goldens.noise(16000 + goldens.seed(), goldens.seed())


@pytest.fixture
def units(pipeline: Pipeline, wav: torch.Tensor, chain: tuple[dict, np.ndarray]) -> Units:
    """Units of the wav; where other weights bring one frame near a tie and move it, those of the chain."""
    kept = Units(*(torch.tensor(chain[0][name]) for name in ("units", "durations")), 50.0)
    found = pipeline.units(wav, 16000)
    moved = int((found.framewise() != kept.framewise()).sum())
    assert moved <= (0 if goldens.folder() == GOLDEN else 1)
    return kept if moved else found


def test_the_chain_from_speech_to_units_and_likelihood(pipeline, wav, chain, units):
    assert units.units.tolist() == chain[0]["units"]
    assert units.durations.tolist() == chain[0]["durations"]
    assert pipeline.loglikelihood(units) == pytest.approx(chain[0]["loglikelihood"], rel=1e-5)
    assert pipeline.loglikelihood(wav=wav, sr=16000) == pytest.approx(
        pipeline.loglikelihood(pipeline.units(wav, 16000))
    )


def test_the_chain_from_speech_to_speech(pipeline, wav, chain, units):
    about, sound = chain
    (spoken,) = pipeline.resynthesize(wav, 16000, temperature=0, units=units)
    if about["margin"] < 1e-4:
        pytest.skip("with these weights two codec tokens are as likely: rounding chooses")
    assert spoken.codes.tolist() == about["codes"]
    assert spoken.sample_rate == 24000
    # Random weights keep no lengths; units without durations tell alone whether each was spoken.
    assert pipeline.synthesizer.speak([units.units], temperature=0)[0].finished == about["finished"]
    assert spoken.wav.shape == (1, about["samples"])
    rounding = 1e-3 * sound.std() if len(sound) else 0.0
    np.testing.assert_allclose(spoken.wav[0, :: reference.KEPT].numpy(), sound, rtol=0, atol=rounding)
    whole = pipeline.resynthesize(wav, 16000, temperature=0)[0]
    assert torch.equal(whole.codes, spoken.codes) or goldens.folder() != GOLDEN


def test_the_chain_is_what_its_parts_make_of_it(chain):
    """The kept values came from the composition as it stands."""
    about, sound = reference.compute(goldens.seed())
    assert about == {**chain[0], "loglikelihood": pytest.approx(chain[0]["loglikelihood"]), "margin": about["margin"]}
    np.testing.assert_allclose(sound, chain[1], atol=1e-5)
