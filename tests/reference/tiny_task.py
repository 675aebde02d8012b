"""A task small enough for any test: a line through noisy points, and a rival that guesses how far off it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from slmzoo.training.loop.settings import TrainSettings
from slmzoo.training.loop.task import Figures, ParameterGroup, StepContext, Task, generator


class Line(Task):
    monitor = "error"

    def __init__(self, settings: TrainSettings, rival: bool = False, width: int = 8) -> None:
        super().__init__()
        torch.manual_seed(settings.seed)
        self.optimization, self.size, self.rival_plays = settings, settings.batch, rival
        self.model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Dropout(0.2), nn.Linear(width, 1))
        self.rival = nn.Linear(3, 1)
        self.shown: list[int] = []
        self.register_buffer("seen", torch.zeros(()))

    def parts(self) -> Mapping[str, ParameterGroup]:
        line = {"line": ParameterGroup(self.model.parameters(), self.optimization)}
        return (
            {"rival": ParameterGroup(self.rival.parameters(), self.optimization), **line} if self.rival_plays else line
        )

    def batch(self, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        x = torch.randn(self.size, 3, generator=draw)
        return x, x.sum(1, keepdim=True)

    def loss(self, part: str, batch: tuple[Tensor, Tensor], context: StepContext) -> tuple[Tensor, Figures] | None:
        x, y = batch
        if part == "rival" and context.step < 2:
            return None
        if self.training:
            self.seen += 1
        noise = torch.randn(y.shape, generator=context.draw).to(y.device)
        error = (self.model(x) - y - 0.01 * noise).square().mean()
        if part == "rival":
            return (self.rival(x).mean() - error.detach()).square(), {}
        return error + (0.01 * self.rival(x).mean() if self.rival_plays else 0), {"error": error.detach()}

    def validation(self) -> Sequence[tuple[Tensor, Tensor]]:
        return [self.batch(generator(99, n)) for n in range(3)]

    def validate(self, batch: tuple[Tensor, Tensor]) -> Figures:
        x, y = batch
        return {"error": (self.model(x) - y).square().sum(), "count": torch.tensor(float(len(y)))}

    def figures(self, sums: Mapping[str, float]) -> Mapping[str, float]:
        return {"error": sums["error"] / sums["count"]}

    def show(self, step: int, folder: Path) -> None:
        self.shown.append(step)


def settings(run: Path, **more: object) -> TrainSettings:
    usual = {"steps": 12, "batch": 4, "lr": 0.05, "warmup": 3, "log_every": 1, "validate_every": 4, "save_every": 4}
    return TrainSettings(run=run, device="cpu", **{**usual, **more})  # pyright: ignore[reportArgumentType]
