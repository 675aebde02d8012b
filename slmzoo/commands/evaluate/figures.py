"""`slmzoo eval figures`: pictures of results."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slmzoo.commands.options.report import FiguresOptions
from slmzoo.commands.results import ResultsCommand
from slmzoo.evaluation.report.figures import Value, abx_figure, bands_figure, likelihood_figure, rate_figure, values_of
from slmzoo.evaluation.report.results import items_of, read

__all__ = ["Figures"]

_LIKELIHOOD = "loglikelihood"


@dataclass(frozen=True, kw_only=True)
class Figures(FiguresOptions, ResultsCommand):
    """Plot the results."""

    def run(self) -> int:
        """Plot, and list the files; return 1 if there is nothing to plot."""
        self.out.mkdir(parents=True, exist_ok=True)
        contents = {path: read(path) for path in self.results}
        names = {path: path.stem if len(self.results) == 1 else f"{path.parent.name}/{path.stem}" for path in contents}
        values = [value for path, content in contents.items() for value in values_of(names[path], content)]
        drawn = [self.out / f"{name}.png" for name, draw in _FIGURES.items() if draw(values, self.out / f"{name}.png")]
        for path, content in contents.items():
            target = self.out / f"loglikelihood-{names[path].replace('/', '-')}.png"
            if _LIKELIHOOD in content["csv"] and likelihood_figure(items_of(path, _LIKELIHOOD), target):
                drawn.append(target)
        self.tell([{"figure": str(path)} for path in drawn], "".join(f"{path}\n" for path in drawn))
        if not drawn:
            sys.stderr.write("slmzoo: These results hold nothing that can be plotted.\n")
        return 0 if drawn else 1


_FIGURES: dict[str, Callable[[list[Value], Path], bool]] = {
    "wer-bitrate": rate_figure,
    "abx-lambda": abx_figure,
    "accuracy-frequency": bands_figure,
}
