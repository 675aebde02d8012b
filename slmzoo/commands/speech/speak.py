"""`slmzoo speak`: text in the voice of a recording."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slmcore import audio
from slmcore.threads import one_unless_worth
from slmzoo import hub
from slmzoo.commands.common import PreciseCommand, complain
from slmzoo.commands.options.speech import SpeakOptions
from slmzoo.commands.speech.writing import free_name, lengths_of, written
from slmzoo.commands.waiting import waiting

__all__ = ["Speak"]

_LONGEST_NAME = 40


@dataclass(frozen=True, kw_only=True)
class Speak(SpeakOptions, PreciseCommand):
    """Each text in the voice of the prompt, as wavs."""

    def run(self) -> int:
        """Speak each text; one that cannot be spoken gets a line and does not stop the others."""
        prompt, rate = audio.load(self.prompt)
        audio.check_audible(prompt, str(self.prompt), rate)
        device = self.chosen_device()
        with waiting(f"loading models of the zoo {self.zoo}"):
            model: Any = hub.text_to_speech(zoo=self.zoo, registry=self.registry, variant=self.variant)
            model.to(device, getattr(torch, self.dtype))
        self.out.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()
        failed = 0
        with self.results() as write, one_unless_worth(torch.device(device)):
            for text in self.texts:
                try:
                    with waiting(f"speaking {_shortened(text)}"):
                        row = self._spoken(model, text, prompt, rate, taken)
                    write(row)
                except (ValueError, OSError) as error:
                    complain(_shortened(text), error)
                    failed += 1
        return 1 if failed else 0

    def line(self, row: Mapping[str, Any]) -> str:
        """A text, and where it is spoken."""
        return f"{_shortened(row['text'])}: in the voice of {row['prompt']} as {lengths_of(row)}"

    def _spoken(self, model: Any, text: str, prompt: Tensor, rate: int, taken: set[str]) -> dict[str, Any]:
        options = {
            name: getattr(self, name) for name in ("prompt_text", "num_samples", "temperature", "top_k", "top_p")
        }
        spoken = model.say(text, prompt, rate, seed=self.seed, **options)
        about = {"text": text, "phones": model.phones(text), "prompt": str(self.prompt)}
        made = written(self.out, free_name(_stem(text), taken), spoken)
        return {**about, **made, "sample_rate": model.sample_rate, "zoo": self.zoo}


def _stem(text: str) -> str:
    """A file name of a text's first words: letters and digits, with hyphens between."""
    words = re.findall(r"\w+", text.lower())
    return "-".join(words)[:_LONGEST_NAME].strip("-") or "speech"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
