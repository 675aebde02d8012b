"""Entry points of TWIST: mHuBERT, its codebook, language models and unit vocoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slmzoo.signatures import LoaderOptions, VocoderOptions, written_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from typing_extensions import Unpack

    from twist import MHuBERT, TwistLM, UnitVocoder

__all__ = ["mhubert_base_25hz", "twist_codebook", "twist_ulm", "unit_hifigan"]


@written_out(LoaderOptions, zoo="twist")
def mhubert_base_25hz(**options: Unpack[LoaderOptions]) -> tuple[MHuBERT, Callable[..., Tensor]]:
    """mHuBERT at 25 Hz and its `extract_features`, the encoder of TWIST (Hassid et al. 2023, arXiv 2305.13009).

    Returns `(model, extract_features)`. `extract_features(model, wav, sr, layer=None)` takes a float wav (1, samples)
    at any rate and gives float32 features (frames, 768), 25 per second, on the model's device; `layer` 1..12 is the
    block of the output, None the eleventh, that of TWIST's units. A `checkpoint` may also be a folder of transformers,
    such as slprl/mhubert-base-25hz.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.encoder(**options)


@written_out(LoaderOptions, zoo="twist")
def twist_codebook(k: int | None = None, **options: Unpack[LoaderOptions]) -> Tensor:
    """TWIST's k-means codebook for layer 11 of `mhubert_base_25hz`: float32 (500, 768).

    Row u is the centre of unit u. `k`, where given, must be the size of the codebook.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.codebook(k, **options).codes


@written_out(LoaderOptions, zoo="twist")
def twist_ulm(variant: str | None = None, **options: Unpack[LoaderOptions]) -> TwistLM:
    """TWIST's unit language model (Hassid et al. 2023, arXiv 2305.13009), initialised from OPT or LLaMA.

    `variant`: 350M (default), 1.3B or 7B, or slamkit's slam or slam_scaled. Returns `ulm`: `ulm.logprobs([units])`
    gives log p(unit | units before) of all units but the first, in nats; `ulm.generate([units], seed=0)` continues
    units, by default as published. A `checkpoint` may also be a zip or folder of transformers.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.ulm(variant, **options)


@written_out(VocoderOptions, zoo="twist")
def unit_hifigan(variant: str | None = None, **options: Unpack[VocoderOptions]) -> UnitVocoder:
    """HiFi-GAN from units to speech (Polyak et al. 2021, arXiv 2104.00355): TWIST's, or another published one.

    `variant`: lj_mhubert_base_25hz (default), or one of Expresso and speech-to-speech translation, which
    `slmzoo list --zoo twist` shows. Returns `vocoder`: `vocoder(code, speaker_id=0, style_id=0, dur_prediction=False)`
    gives a waveform (samples,) of units (n,); `vocoder.speak([units], speaker=None, style=None)` a list of `Speech`.
    With `checkpoint=` also give `config=`, the published config.json, unless it lies beside the checkpoint.
    Options: zoo, checkpoint, config, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.vocoder(variant, **options)
