from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from slmzoo.recipes.distillation import __main__ as experiment
from slmzoo.recipes.distillation import arms, corpus, denoiser, measures, report
from slmzoo.recipes.distillation.measures import Values
from tests.reference.programs import needs_flite
from tests.reference.soundstream import noise, small


def values(mean: float, seed: int = 0) -> Values:
    drawn = 0.05 * np.random.RandomState(seed).standard_normal(30)
    return Values([f"s{i}" for i in range(30)], (mean + drawn - drawn.mean()).tolist(), [1.0] * 30)


def found(error: float, mel: float, seed: int = 0) -> dict[str, Values]:
    return {
        "denoising error, noise 0.1": values(error, seed),
        "denoising error, noise 0.5": values(error + 0.2, seed),
        "mel distance, codes of 4 levels": values(mel, seed),
        "effective rank of the latents": Values(["all"], [9.0], [1.0]),
    }


@pytest.mark.parametrize(
    ("error", "mel", "verdict"),
    [
        (0.5, 0.3, "is not needed for the latents"),
        (0.4, 0.3, "is of use"),
        (0.4, 0.6, "helps at the cost of quality"),
        (0.6, 0.3, "harder to learn"),
    ],
)
def test_the_answer_follows_the_rule_that_was_set_beforehand(error: float, mel: float, verdict: str) -> None:
    measured = {"A": [found(0.5, 0.3), found(0.5, 0.3, 1)], "C": [found(error, mel, 2), found(error, mel, 3)]}
    assert verdict in report.answer(measured)


def test_the_table_has_values_and_paired_differences_with_intervals(tmp_path: Path) -> None:
    """The pairs differ by exactly 0.1 in every sentence: so does the whole interval."""
    measured = {"A": [found(0.5, 0.3)], "D": [found(0.6, 0.3)]}
    text = report.write(tmp_path, measured, {"steps": 3})
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert rows["measure"][1:] == ["A", "D", "D - A |"]
    value, other, difference = rows["denoising error, noise 0.1"][1:]
    assert value.startswith("0.5")
    assert "to" in value
    assert other.startswith("0.6")
    assert difference.startswith("+0.1 |")
    assert rows["effective rank of the latents"][1:] == ["9", "9", "+0 |"]
    assert "steps 3" in text
    assert (tmp_path / "report.md").read_text() == text
    assert (tmp_path / "figure.png").stat().st_size > 5000
    assert "nothing to compare" in report.answer({"B": [found(0.5, 0.3)]})


def test_a_denoiser_learns_what_can_be_learnt() -> None:
    """Latents that stand still are told from noise by their neighbours; white ones are not."""
    draw = torch.Generator().manual_seed(0)
    still = [torch.randn(4, 1, generator=draw).expand(4, 60) for _ in range(40)]
    white = [torch.randn(4, 60, generator=draw) for _ in range(40)]
    errors = {}
    for name, some in (("still", still), ("white", white)):
        model = denoiser.trained_denoiser(some[:30], 150, 0)
        errors[name] = np.mean([denoiser.errors_of(model, x, 3) for x in some[30:]], 0)
    assert errors["still"][2] < 0.6 * errors["white"][2]
    assert errors["white"][0] < errors["white"][4]
    assert denoiser.errors_of(model, white[0], 1) == denoiser.errors_of(model, white[0], 1)


def sentence(folder: Path, name: str, voice: str) -> corpus.Sentence:
    phones = tuple((phone, 0.5 * (i + 1)) for i, phone in enumerate(("pau", "a", "b", "a", "pau")))
    return corpus.Sentence(file=folder / f"{name}-{voice}.wav", text=name, voice=voice, phones=phones)


def test_phones_between_others_are_the_items_of_abx(tmp_path: Path) -> None:
    items = sentence(tmp_path, "x", "slt").items()
    assert [(item.phone, item.before, item.after, float(item.onset)) for item in items] == [
        ("a", "pau", "b", 0.5), ("b", "a", "a", 1.0), ("a", "b", "pau", 1.5),
    ]  # fmt: skip
    assert {item.speaker for item in items} == {"slt"}


def test_a_probe_finds_phones_that_lie_apart(tmp_path: Path, monkeypatch) -> None:
    spoken = corpus.Corpus(
        training=[sentence(tmp_path, f"t{i}", "awb") for i in range(3)],
        held_out=[sentence(tmp_path, f"h{i}", voice) for i in range(2) for voice in ("slt", "rms")],
    )
    monkeypatch.setattr(corpus.Sentence, "wav", lambda self: torch.zeros(1, 1))
    places = {"pau": [0.0, 0.0], "a": [1.0, 0.0], "b": [0.0, 1.0]}

    def view(vectors: dict) -> measures.Callable:
        return lambda wav: torch.tensor([vectors[p.label] for p in spoken.training[0].intervals() for _ in range(25)]).T

    sure = measures._probes("x", view(places), spoken, 50.0)["phones by a linear probe, x"]
    assert sure.values == [1.0] * 4
    assert sure.weights == [125.0] * 4
    same = measures._probes("x", view({phone: [1.0, 1.0] for phone in places}), spoken, 50.0)[
        "phones by a linear probe, x"
    ]
    # All frames look alike: the commonest label, of two fifths of them, is said.
    assert same.values == pytest.approx([0.4] * 4)


def test_options_are_checked(tmp_path: Path) -> None:
    for wrong, message in (
        ({"arms": ("E",)}, "of A, B, C, D"),
        ({"seeds": (1, 1)}, "different"),
        ({"steps": 0}, ">= 1"),
    ):
        with pytest.raises(ValueError, match=message):
            experiment.Options(runs=tmp_path, **wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
@needs_flite
def test_the_whole_experiment_in_miniature_and_resumed(tmp_path: Path, monkeypatch) -> None:
    options = experiment.Options(
        runs=tmp_path, arms=("A", "C", "D"), seeds=(0,), steps=2, batch=2, crop=16_000, training_sentences=8,
        held_out_sentences=2, denoiser_steps=2, n_filters=2, wer=False,
    )  # fmt: skip
    text = experiment.run(options)
    assert "| C - A |" in text
    assert "ABX within speaker, level 1" in text
    assert "training_sentences 8" in text
    monkeypatch.setattr(arms, "train", None)
    monkeypatch.setattr(experiment, "trained", None)
    assert experiment.run(options) == text
    assert experiment.run(experiment.replace(options, arms=("A",))) != text


def test_measures_of_latents_do_not_depend_on_what_was_measured_before() -> None:
    codec = small("causal")
    wavs = [noise(1, 300, seed=n)[0] for n in range(3)]
    first = codec.measure_latents(wavs, 600)
    second = codec.measure_latents(wavs, 600)
    assert torch.equal(first.mean, second.mean)
    assert first.frames == second.frames == 150
