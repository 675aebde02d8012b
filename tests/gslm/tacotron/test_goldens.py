from __future__ import annotations

import numpy as np
import pytest
import torch

from gslm.tacotron import Tacotron, load
from tests.reference import goldens, gslm

pytestmark = pytest.mark.golden
NAMES = ["gslm_tacotron_small", "gslm_tacotron_latent_small"]
FULL = pytest.param("gslm_tacotron_full", marks=pytest.mark.slow)


class Given:
    """Dropout of the golden: nothing is dropped, or what `prenet_masks` says."""

    def __init__(self, case: str, steps: int, width: int) -> None:
        drawn = np.random.RandomState(13).rand(steps, 2, width) >= 0.5
        masked = torch.from_numpy(drawn.astype(np.float32)) * 2
        self.factors = masked if case == "masked" else torch.ones_like(masked)

    def __call__(self, step: int) -> torch.Tensor:
        return self.factors[step][:, None]


@pytest.fixture(scope="module", params=[*NAMES, FULL])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    path = gslm.tacotron_file(tmp_path_factory.mktemp("tacotron"), request.param)
    return load(path), *goldens.load(request.param)


def near(found: torch.Tensor, golden: np.ndarray) -> bool:
    found = found.detach()
    return found.shape == golden.shape and bool(np.abs(found.numpy() - golden).max() <= 1e-4 * golden.std())


def test_units_have_the_ids_of_the_table(case):
    model, about, arrays = case
    assert model.codes.encode(about["units"]).ids.tolist() == arrays["ids"].tolist()


@pytest.mark.parametrize("dropout", ["no_dropout", "masked"])
def test_spectrograms_gates_and_alignments(case, dropout):
    model, about, arrays = case
    steps = about["cases"][dropout]["max_decoder_steps"]
    given = Given(dropout, steps, model.config.prenet_dim)
    (made,) = model([model.codes.encode(about["units"]).ids], dropout=given, max_frames=steps)
    thin = 2 if about["every_2nd_frame"] else 1
    assert near(made.raw[:, ::thin], arrays[f"{dropout}/mel"])
    assert near(made.mel[:, ::thin], arrays[f"{dropout}/mel_postnet"])
    assert near(made.gate, arrays[f"{dropout}/gate"])
    assert near(made.alignment[::thin], arrays[f"{dropout}/alignment"])
    assert (made.mel.shape[1], made.finished) == (about["cases"][dropout]["frames"], False)


STOPS = [(name, case) for name in NAMES for case in ("no_dropout", "masked")]


@pytest.mark.parametrize(("name", "dropout"), STOPS)
def test_the_gate_ends_speech_with_the_frame_that_passes_it(name, dropout, tmp_path):
    about = goldens.load_json(name)["cases"][dropout]
    if "stop" not in about:
        pytest.skip("the golden has no such case")
    model: Tacotron = load(gslm.tacotron_file(tmp_path, name, gate_threshold=about["stop"]["gate_threshold"]))
    steps = about["max_decoder_steps"]
    ids = torch.from_numpy(goldens.load_npz(name)["ids"])
    (made,) = model([ids], dropout=Given(dropout, steps, model.config.prenet_dim), max_frames=steps)
    assert (made.mel.shape[1], made.finished) == (about["stop"]["frames"], about["stop"]["has_eos"])
