"""Entry points of GSLM: HuBERT, wav2vec 2.0, CPC, log-mel, codebooks, language models, Tacotron 2 and WaveGlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slmzoo.signatures import LoaderOptions, TacotronOptions, written_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from typing_extensions import Unpack

    from gslm.cpc import CPC
    from gslm.hubert import HuBERT
    from gslm.log_mel import LogMel
    from gslm.tacotron import Tacotron
    from gslm.ulm import GSLMUnitLM, UnitDictionary
    from gslm.wav2vec2 import Wav2Vec2
    from gslm.waveglow import WaveGlow

__all__ = [
    "cpc_big",
    "gslm_codebook",
    "gslm_tacotron",
    "gslm_ulm",
    "hubert_base",
    "log_mel",
    "wav2vec2_large",
    "waveglow",
]


@written_out(LoaderOptions, zoo="gslm")
def hubert_base(**options: Unpack[LoaderOptions]) -> tuple[HuBERT, Callable[..., Tensor]]:
    """HuBERT base and its `extract_features` (Hsu et al. 2021, arXiv 2106.07447).

    Returns `(model, extract_features)`. `extract_features(model, wav, sr, layer=None)` takes a float wav (1, samples)
    at any rate and gives float32 features (frames, 768), 50 per second, on the model's device; `layer` 1..12 is the
    block of the output, None the sixth, that of GSLM's codebooks. A `checkpoint` is fairseq's file.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.encoder_with_verb("hubert", **options)


@written_out(LoaderOptions, zoo="gslm")
def wav2vec2_large(**options: Unpack[LoaderOptions]) -> tuple[Wav2Vec2, Callable[..., Tensor]]:
    """wav2vec 2.0 large and its `extract_features` (Baevski et al. 2020, arXiv 2006.11477).

    Returns `(model, extract_features)`, as `hubert_base` does: features (frames, 1024), 50 per second; `layer` 1..24,
    None the fifteenth, GSLM's, which fairseq counts from 0 as the fourteenth.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.encoder_with_verb("w2v2", **options)


@written_out(LoaderOptions, zoo="gslm")
def cpc_big(**options: Unpack[LoaderOptions]) -> tuple[CPC, Callable[..., Tensor]]:
    """CPC-big and its `extract_features` (Rivière et al. 2020, arXiv 2002.02848).

    Returns `(model, extract_features)`, as `hubert_base` does: features (frames, 512), 100 per second; `layer` 1..4 is
    the recurrent layer, None the second, GSLM's.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.encoder_with_verb("cpc", **options)


@written_out(LoaderOptions, zoo="gslm")
def log_mel(**options: Unpack[LoaderOptions]) -> tuple[LogMel, Callable[..., Tensor]]:
    """Kaldi's log-mel filter banks and their `extract_features`, as GSLM computes them; nothing is downloaded.

    Returns `(model, extract_features)`, as `hubert_base` does: features (frames, 80), 100 per second, at the rate of
    the wav, as published. The codebooks are of audio at 16 kHz, to which the pipeline resamples, and `model.resample =
    True` does. There are no layers.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.log_mel(**options)


@written_out(LoaderOptions, zoo="gslm")
def gslm_codebook(
    features: str | None = None, k: int | None = None, layer: int | None = None, **options: Unpack[LoaderOptions]
) -> Tensor:
    """GSLM's k-means codebook for some features: float32 (k, dim).

    `features`: hubert (default), cpc, w2v2 or logmel; `k`: 50, 100 (default), 200, for hubert and cpc also 500;
    `layer`: that of GSLM where it is not named, for hubert with k=500 also 9. A `checkpoint` is a published `km.bin`,
    read without scikit-learn.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.load_codebook(features, k, layer, **options).codes


@written_out(LoaderOptions, zoo="gslm")
def gslm_ulm(
    features: str | None = None, k: int | None = None, **options: Unpack[LoaderOptions]
) -> tuple[GSLMUnitLM, UnitDictionary]:
    """GSLM's unit language model, and the dictionary of its tokens (Lakhotia et al. 2021, arXiv 2102.01192).

    `features`: hubert (default), cpc, w2v2 or logmel; `k`: 50, 100 (default) or 200. Returns `(ulm, tokenizer)`:
    `ulm.loglikelihood(tokenizer.encode(units))` is the sum of log p(unit | units before) over deduplicated units, in
    nats; `ulm.generate` continues units. A `checkpoint` is a `.tgz` with dict.txt, or lies beside it.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.ulm(features, k, **options)


@written_out(TacotronOptions, zoo="gslm")
def gslm_tacotron(features: str | None = None, k: int | None = None, **options: Unpack[TacotronOptions]) -> Tacotron:
    """Tacotron 2 from GSLM's units to mel spectrograms, for `waveglow` (Shen et al. 2018, arXiv 1712.05884).

    `features` and `k` as for `gslm_ulm`. Returns `tacotron`: `tacotron([tacotron.codes.encode(units).ids], seed=0)`
    gives a list of spectrograms with `.mel` (80, frames). With `checkpoint=` also give `code_dict=`, the published
    table of its input ids, unless it lies beside the checkpoint.
    Options: zoo, checkpoint, code_dict, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.tacotron(features, k, **options)


@written_out(LoaderOptions, zoo="gslm")
def waveglow(**options: Unpack[LoaderOptions]) -> WaveGlow:
    """WaveGlow of 256 channels with its denoiser, as GSLM uses it (Prenger et al. 2018, arXiv 1811.00002).

    Returns `waveglow`: `waveglow.speak(mel, seed=0)` gives speech, float32 (frames * 256,), of a spectrogram
    (80, frames), at the Tacotron's sample rate.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.waveglow(**options)
