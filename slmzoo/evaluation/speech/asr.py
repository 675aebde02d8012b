"""Recognisers of English speech, chosen by name: pocketsphinx, Whisper in CTranslate2, Whisper or CTC in transformers.

Error rates under one recogniser tell systems apart; they do not compare with those under another.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from slmcore import audio
from slmcore.pauses import pauses
from slmzoo.evaluation.optional import need
from slmzoo.evaluation.speech import ctranslate

__all__ = ["Recogniser", "dictionary", "hear", "language", "recogniser", "require"]

Recogniser = Callable[[Tensor, int], str]
"""Function of mono speech (1, samples) and its rate in Hz to a transcript, possibly empty."""

_SAMPLE_RATE = 16000
_TRANSFORMERS = "pip install 'slmzoo[transformers]'"


@cache
def recogniser(name: str = "pocketsphinx", device: str = "cpu") -> Recogniser:
    """Load a recogniser of English by name.

    "pocketsphinx" brings its own small model, "whisper" is tiny.en as a package ships it (`ctranslate.NAME`), and a
    folder may hold a Whisper in CTranslate2's format. Any other name is a model of transformers, on its hub or in a
    folder: Whisper ("openai/whisper-small") or wav2vec 2.0 and others with a CTC head ("facebook/wav2vec2-base-960h").
    Its Whisper takes at most 30 s, so that longer speech is cut at pauses; all decode greedily. Raises ImportError for
    a missing package, OSError or ValueError for a missing model.
    """
    if name == "pocketsphinx":
        return _pocketsphinx()
    if ctranslate.is_converted(name):
        return ctranslate.whisper(name, device, _prepared)
    transformers = need("transformers", f"The recogniser {name}", _TRANSFORMERS)
    config = transformers.AutoConfig.from_pretrained(name)
    processor = transformers.AutoProcessor.from_pretrained(name)
    if config.model_type == "whisper":
        model = transformers.WhisperForConditionalGeneration.from_pretrained(name)
        return _whisper(processor, model.to(device).eval())
    return _ctc(processor, transformers.AutoModelForCTC.from_pretrained(name).to(device).eval())


def require(name: str = "pocketsphinx") -> None:
    """Raise an ImportError that says what to install if the recogniser `name` lacks its package."""
    if name == "pocketsphinx":
        need("pocketsphinx", "This recogniser")
    elif ctranslate.is_converted(name):
        ctranslate.require(name)
    else:
        need("transformers", f"The recogniser {name}", _TRANSFORMERS)


def hear(paths: Sequence[Path], name: str = "pocketsphinx", device: str = "cpu", jobs: int = 1) -> list[str]:
    """Transcribe each file with the recogniser `name`, in order, in `jobs` processes; empty for one of length zero.

    Raises as `audio.load`.
    """
    work = [(path, name, device) for path in paths]
    bar = {"total": len(paths), "unit": "file", "desc": "listening", "disable": None if len(paths) > 1 else True}
    if jobs == 1:
        return list(tqdm(map(_hear, work), **bar))
    # A forked child would wait for ever for the threads of its parent.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return list(tqdm(pool.map(_hear, work, chunksize=4), **bar))


def language() -> Path:
    """Return the folder of pocketsphinx's English dictionary and models. Raises ImportError without it."""
    return Path(need("pocketsphinx", "Its English").get_model_path()) / "en-us"


def dictionary() -> list[str]:
    """Return the vocabulary of pocketsphinx, in the order of its dictionary."""
    lines = (language() / "cmudict-en-us.dict").read_text().splitlines()
    return [line.split(maxsplit=1)[0] for line in lines if line.strip()]


def _hear(work: tuple[Path, str, str]) -> str:
    path, name, device = work
    return "" if audio.is_empty(path) else recogniser(name, device)(*audio.load(path))


def _prepared(wav: Tensor, sr: int) -> Tensor:
    """Checked samples (n,) at 16 kHz."""
    audio.check(wav, sr, "wav")
    return audio.resample(wav, sr, _SAMPLE_RATE)[0].detach().cpu()


def _pocketsphinx() -> Recogniser:
    package = need("pocketsphinx", "This recogniser")
    decoder = package.Decoder(samprate=_SAMPLE_RATE, loglevel="FATAL")

    def run(wav: Tensor, sr: int) -> str:
        samples = _prepared(wav, sr).clamp(-1, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            # Documented as unnecessary, but without it the noise estimate is carried from one wav to the next.
            decoder.start_stream()
        decoder.start_utt()
        try:
            decoder.process_raw((samples * 32767).to(torch.int16).numpy().tobytes(), full_utt=True)
        finally:
            # An interrupted utterance would refuse the next one.
            decoder.end_utt()
        hypothesis = decoder.hyp()
        return hypothesis.hypstr if hypothesis is not None else ""

    return run


def _whisper(processor: Any, model: Any) -> Recogniser:
    @torch.no_grad()
    def run(wav: Tensor, sr: int) -> str:
        samples = _prepared(wav, sr)
        pieces = samples.tensor_split(pauses(samples[None], _SAMPLE_RATE))
        inputs = [processor(piece.numpy(), sampling_rate=_SAMPLE_RATE, return_tensors="pt") for piece in pieces]
        ids = [model.generate(x.input_features.to(model.device), do_sample=False, num_beams=1) for x in inputs]
        ids = [batch[0].tolist() for batch in ids]
        return " ".join(processor.batch_decode(ids, skip_special_tokens=True)).strip()

    return run


def _ctc(processor: Any, model: Any) -> Recogniser:
    tokenizer = processor.tokenizer

    @torch.no_grad()
    def run(wav: Tensor, sr: int) -> str:
        inputs = processor(_prepared(wav, sr).numpy(), sampling_rate=_SAMPLE_RATE, return_tensors="pt")
        logits = model(**{name: value.to(model.device) for name, value in inputs.items()}).logits
        ids = torch.unique_consecutive(logits[0].argmax(-1)).tolist()
        return tokenizer.decode([i for i in ids if i not in tokenizer.all_special_ids], group_tokens=False)

    return run
