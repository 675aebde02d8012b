"""slmzoo for torch.hub: every model of the zoo by (k, lambda), and whole pipelines.

All entry points also take

- `zoo`: "dp-slm" (the published models, the default), "demo" (small weights that come with this repository) or a zoo of
  your own (`registry=` or SLMZOO_REGISTRY: a JSON file with its rows);
- `checkpoint`: a local file, a URL or hf://owner/repo/file in place of the table's: a `.pt` or `.ckpt` in the published
  format, or a `.safetensors` of the project. k and lmbda may then be left out;
- `map_location`: where the weights go, "cpu" by default; and `progress`: whether a download shows a bar.

A (k, lmbda) without a trained model raises a ValueError that lists the valid ones.
"""

from __future__ import annotations

import re as _re
import sys as _sys
import typing as _typing
from pathlib import Path as _Path

if _typing.TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from typing_extensions import Unpack

    from dpdp import DPDPQuantizer
    from ellav import EllaV
    from gslm.cpc import CPC
    from gslm.hubert import HuBERT
    from gslm.log_mel import LogMel
    from gslm.tacotron import Tacotron
    from gslm.ulm import GSLMUnitLM, UnitDictionary
    from gslm.wav2vec2 import Wav2Vec2
    from gslm.waveglow import WaveGlow
    from mistral_ulm import PhonemeTokenizer, UnitLM, UnitTokenizer
    from slmzoo.pipeline import Pipeline
    from slmzoo.text_to_speech import USLMSpeech
    from soundstream import SoundStream
    from speechtokenizer import SpeechTokenizer
    from twist import MHuBERT, TwistLM, UnitVocoder
    from wavlm_codebooks import WavLM
    from wavtokenizer import WavTokenizer


dependencies = ["torch", "torchaudio", "numpy", "safetensors", "requests", "filelock", "tqdm"]

_PACKAGES = (
    "slmcore",
    "slmzoo",
    "wavlm_codebooks",
    "dpdp",
    "mistral_ulm",
    "ellav",
    "wavtokenizer",
    "speechtokenizer",
    "soundstream",
    "gslm",
    "twist",
)


def _guard() -> None:
    """Refuse packages of our names from another repository, which hub would mix silently with ours."""

    def version(root: _Path) -> str | None:
        file = root / "slmzoo" / "__init__.py"
        found = _re.search(r'__version__ = "(.+)"', file.read_text(encoding="utf-8")) if file.is_file() else None
        return found[1] if found else None

    here = _Path(__file__).resolve().parent
    for name in _PACKAGES:
        package = _sys.modules.get(name)
        paths = [_Path(path).resolve() for path in getattr(package, "__path__", [])]
        if package is None or here in [path.parent for path in paths]:
            continue
        if here in paths and getattr(package, "__file__", None) is None:
            # Imported from the folder above: Python took this clone for a package, an empty one of the same name.
            del _sys.modules[name]
            continue
        if not paths or version(paths[0].parent) != version(here):
            where = paths[0] if paths else getattr(package, "__file__", "unknown place")
            raise ImportError(
                f"The package {name!r} is already imported from {where}, which is not this slmzoo. Python keeps one "
                "package of a name: start a new process, and load slmzoo before or without the other repository."
            )


_guard()

from slmzoo.signatures import LoaderOptions as _LoaderOptions  # noqa: E402
from slmzoo.signatures import PhonemeOptions as _PhonemeOptions  # noqa: E402
from slmzoo.signatures import PipelineOptions as _PipelineOptions  # noqa: E402
from slmzoo.signatures import TacotronOptions as _TacotronOptions  # noqa: E402
from slmzoo.signatures import USLMOptions as _USLMOptions  # noqa: E402
from slmzoo.signatures import VocoderOptions as _VocoderOptions  # noqa: E402
from slmzoo.signatures import written_out as _written_out  # noqa: E402


@_written_out(_LoaderOptions)
def wavlm_large(**options: Unpack[_LoaderOptions]) -> tuple[WavLM, Callable[..., Tensor]]:
    """WavLM Large and its `extract_features` (Chen et al. 2021, arXiv 2110.13900).

    Returns `(model, extract_features)`. `extract_features(model, wav, sr, layer=None)` takes a float wav (1, samples)
    at any rate and gives float32 features (frames, 1024), 50 per second, on the model's device; `layer` 1..24 is the
    block of the output (11 for the codebooks), None the last one, normalised. `model.features` does the same. Options:
    zoo, checkpoint, map_location, progress, registry.

    Example: `model, extract = torch.hub.load("slmzoo/slmzoo", "wavlm_large"); x = extract(model, wav, sr, layer=11)`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.wavlm(**options)


@_written_out(_LoaderOptions)
def codebook(layer: int | None = None, k: int | None = None, **options: Unpack[_LoaderOptions]) -> Tensor:
    """Load the k-means codebook of a layer of the encoder: float32 (k, dim).

    dp-slm: layer 11 and k in 100, 200, 500 (default), 1000, 2000; dim 1024.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.load_codebook(layer=layer, k=k, **options).codes


def dpdp_quantizer(
    codebook_size: int, codebook_dim: int, lmbda: float, num_neighbors: int | None = None
) -> DPDPQuantizer:
    """A DPDP quantiser with an empty codebook, to be filled by `load_state_dict` (Kamper 2022, arXiv 2202.11929).

    `lmbda` >= 0 weighs the duration penalty; `num_neighbors` limits a frame to its nearest codes (None: all).
    """
    from slmzoo.systems import dp_slm

    return dp_slm.empty_quantizer(codebook_size, codebook_dim, lmbda, num_neighbors)


@_written_out(_LoaderOptions)
def dpdp_quantizer_from_codebook(
    codebook: Tensor | None = None,
    lmbda: float | None = None,
    num_neighbors: int | None = None,
    *,
    k: int | None = None,
    layer: int | None = None,
    **options: Unpack[_LoaderOptions],
) -> DPDPQuantizer:
    """A DPDP quantiser over a codebook tensor (k, dim), or over the zoo's codebook of `k` codes.

    `quantizer(features)` takes (frames, dim) and gives `(quantized_features, units)`: the straight-through estimate
    (frames, dim), and one unit for each frame, int64. `quantizer.segment(features)` gives `Units` with durations.
    Any `lmbda` >= 0 will do; 0 is the nearest code. `num_neighbors` None means all codes with `codebook=`, and with
    `k=` what the downstream models were trained with: 5 % of k.
    Options: zoo, checkpoint, map_location, progress, registry.

    Example: `torch.hub.load("slmzoo/slmzoo", "dpdp_quantizer_from_codebook", k=500, lmbda=4500).segment(features)`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.quantizer(codebook, lmbda, num_neighbors, k=k, layer=layer, **options)


@_written_out(_LoaderOptions)
def ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[_LoaderOptions]
) -> tuple[UnitLM, UnitTokenizer]:
    """The unit language model trained on 1,000 hours for 10,000 steps, and its tokenizer.

    Returns `(ulm, tokenizer)`: `ulm.loglikelihood(tokenizer.encode(units))` is the sum of log p(unit | previous units)
    over deduplicated units, in nats; `ulm.generate` continues units. Options: zoo, checkpoint, map_location, progress,
    registry. Example: `ulm.generate([[17, 3, 250]], max_new_units=100, temperature=0.9).units[0]`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ulm("hours_1k_steps_10k", k=k, lmbda=lmbda, **options)


@_written_out(_LoaderOptions)
def ulm_wavlm_layer_11_dpdp_hours_60k_steps_200k(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[_LoaderOptions]
) -> tuple[UnitLM, UnitTokenizer]:
    """The unit language model trained on 60,000 hours for 200,000 steps, and its tokenizer: k=500, lmbda=4500.

    Returns `(ulm, tokenizer)`, as `ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k` does.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ulm("hours_60k_steps_200k", k=k, lmbda=lmbda, **options)


@_written_out(_PhonemeOptions)
def plm_us_arpa_hours_1k_steps_10k(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[_PhonemeOptions]
) -> tuple[UnitLM, PhonemeTokenizer]:
    """The language model over US English phonemes, and its tokenizer, without k and lmbda.

    Returns `(plm, tokenizer)`. With `checkpoint=` also give `tokenizer=`, the JSON with its phonemes.
    Options: zoo, checkpoint, tokenizer, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.plm(**options)


@_written_out(_LoaderOptions)
def ellav_units_to_wavtokenizer(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[_LoaderOptions]
) -> EllaV:
    """ELLA-V from units to the tokens of WavTokenizer at 40 Hz (Song et al. 2024, arXiv 2401.07333).

    Returns `ellav`: `ellav.generate(prompts, max_tokens, max_codec_tokens_per_phone, temperature, top_p)` takes lists
    of names such as ["u17", "u3"] and gives `(list of int64 tensors, list of bool)`.
    Options: zoo, checkpoint, map_location, progress, registry.

    Example: `codes, finished = ellav.generate([["u17", "u3"]], 200, 10, temperature=1.0, top_p=0.8)`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ellav("units", k=k, lmbda=lmbda, **options)


@_written_out(_LoaderOptions)
def ellav_phones_to_wavtokenizer(**options: Unpack[_LoaderOptions]) -> EllaV:
    """ELLA-V from US English phonemes to the tokens of WavTokenizer at 40 Hz; used as `ellav_units_to_wavtokenizer` is.

    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ellav("phones", **options)


@_written_out(_LoaderOptions)
def small_600_24k_4096(
    pretrained: bool = True, **options: Unpack[_LoaderOptions]
) -> tuple[WavTokenizer, Callable[..., Tensor], Callable[..., tuple[Tensor, int]]]:
    """WavTokenizer at 40 tokens per second (24 kHz, 4096 codes; Ji et al. 2024, arXiv 2408.16532).

    Returns `(model, encode, decode)`: `encode(model, wav (1, samples), sr)` gives codes (1, 1, frames), int64, and
    `decode(model, codes)` gives `(wav (1, frames * 600), 24000)`. `pretrained=False` leaves the weights random.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.codec_with_verbs("small_600_24k_4096", pretrained=pretrained, **options)


@_written_out(_LoaderOptions)
def small_320_24k_4096(
    pretrained: bool = True, **options: Unpack[_LoaderOptions]
) -> tuple[WavTokenizer, Callable[..., Tensor], Callable[..., tuple[Tensor, int]]]:
    """WavTokenizer at 75 tokens per second; used as `small_600_24k_4096` is, with 320 samples per token.

    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.codec_with_verbs("small_320_24k_4096", pretrained=pretrained, **options)


@_written_out(_LoaderOptions, zoo="speechtokenizer")
def speechtokenizer(variant: str | None = None, **options: Unpack[_LoaderOptions]) -> SpeechTokenizer:
    """SpeechTokenizer at 50 frames of 8 codes per second (16 kHz, 1024 codes each; Zhang et al. 2023, 2308.16692).

    `variant` is "hubert_avg" (default, LibriSpeech) or "snake" (LibriSpeech and Common Voice). Level 1 holds what is
    said, the others how. `model.encode(x)` takes waveforms (B, 1, samples) at 16 kHz and gives codes (8, B, frames),
    `model.decode(codes)` waveforms (B, 1, frames * 320); `model.encode_wav(wav, sr)` takes any rate and gives `Codes`,
    which `model.decode_codes` turns into a waveform (1, samples); `model.convert(content, voice)` exchanges levels.
    A config.json beside a published `checkpoint=` is read, and must be whole.
    Options: zoo, checkpoint, map_location, progress, registry.

    Example: `torch.hub.load("slmzoo/slmzoo", "speechtokenizer").encode_wav(wav, sr).codes[0]`
    """
    from slmzoo.systems import speechtokenizer as system

    return system.codec(variant, **{"zoo": "speechtokenizer", **options})


@_written_out(_USLMOptions, zoo="speechtokenizer")
def uslm(variant: str | None = None, **options: Unpack[_USLMOptions]) -> USLMSpeech:
    """USLM, zero-shot text to speech over SpeechTokenizer's codes (Zhang et al. 2023, arXiv 2308.16692).

    Returns `tts`: `tts.say("Text to speak.", wav, sr, prompt_text="what the prompt says", seed=0)` gives a list with a
    `Speech` in the voice of wav (1, samples), a prompt of about 3 s; `tts.uslm.generate` takes ids of phones and
    `Codes`. Phones are made by espeak-ng: `pip install 'slmzoo[phonemes]'`. `variant` names the codec, "hubert_avg".
    With `checkpoint=` also give `symbols=`, the published table of its phones, unless it lies beside the checkpoint;
    `codec_checkpoint=` is a file in place of the zoo's codec.
    Options: zoo, checkpoint, symbols, codec_checkpoint, map_location, progress, registry.

    Example: `torch.hub.load("slmzoo/slmzoo", "uslm").say("Good morning.", wav, sr)[0].wav`
    """
    from slmzoo.systems import speechtokenizer as system

    return system.uslm(variant, **{"zoo": "speechtokenizer", **options})


@_written_out(_LoaderOptions, zoo="soundstream")
def soundstream(variant: str | None = None, **options: Unpack[_LoaderOptions]) -> SoundStream:
    """SoundStream, of your own training or of published weights in the same key scheme (arXiv 2107.03312).

    No weights are published: give `checkpoint=`, or `zoo=` and `registry=` of a zoo of your own. `model.encode(wav, sr,
    bandwidth)` takes waveforms (B, samples) and gives codes (B, levels, frames), as many levels as fit into `bandwidth`
    kb/s; `model.decode(codes)` gives waveforms (B, samples); `model.encode_wav` and `model.decode_codes` do so for one
    utterance with `Codes`; `model.encode_latents` and `model.decode_latents` leave the quantiser out.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import soundstream as system

    return system.codec(variant, **{"zoo": "soundstream", **options})


@_written_out(_LoaderOptions, zoo="gslm")
def hubert_base(**options: Unpack[_LoaderOptions]) -> tuple[HuBERT, Callable[..., Tensor]]:
    """HuBERT base and its `extract_features` (Hsu et al. 2021, arXiv 2106.07447).

    Returns `(model, extract_features)`. `extract_features(model, wav, sr, layer=None)` takes a float wav (1, samples)
    at any rate and gives float32 features (frames, 768), 50 per second, on the model's device; `layer` 1..12 is the
    block whose output is wanted, None the sixth, of which GSLM's codebooks are. A `checkpoint` is fairseq's file.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.encoder_with_verb("hubert", **options)


@_written_out(_LoaderOptions, zoo="gslm")
def wav2vec2_large(**options: Unpack[_LoaderOptions]) -> tuple[Wav2Vec2, Callable[..., Tensor]]:
    """wav2vec 2.0 large and its `extract_features` (Baevski et al. 2020, arXiv 2006.11477).

    Returns `(model, extract_features)`, as `hubert_base` does: features (frames, 1024), 50 per second; `layer` 1..24,
    None the fifteenth, GSLM's, which fairseq counts from 0 as the fourteenth.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.encoder_with_verb("w2v2", **options)


@_written_out(_LoaderOptions, zoo="gslm")
def cpc_big(**options: Unpack[_LoaderOptions]) -> tuple[CPC, Callable[..., Tensor]]:
    """CPC-big and its `extract_features` (Rivière et al. 2020, arXiv 2002.02848).

    Returns `(model, extract_features)`, as `hubert_base` does: features (frames, 512), 100 per second; `layer` 1..4 is
    the recurrent layer, None the second, GSLM's.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.encoder_with_verb("cpc", **options)


@_written_out(_LoaderOptions, zoo="gslm")
def log_mel(**options: Unpack[_LoaderOptions]) -> tuple[LogMel, Callable[..., Tensor]]:
    """Kaldi's log-mel filter banks and their `extract_features`, as GSLM computes them; nothing is downloaded.

    Returns `(model, extract_features)`, as `hubert_base` does: features (frames, 80), 100 per second, at the rate of
    the wav, as published. The codebooks are of audio at 16 kHz, to which the pipeline resamples, and `model.resample =
    True` does. There are no layers.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.log_mel(**options)


@_written_out(_LoaderOptions, zoo="gslm")
def gslm_codebook(
    features: str | None = None, k: int | None = None, layer: int | None = None, **options: Unpack[_LoaderOptions]
) -> Tensor:
    """GSLM's k-means codebook for some features: float32 (k, dim).

    `features`: hubert (default), cpc, w2v2 or logmel; `k`: 50, 100 (default), 200, for hubert and cpc also 500;
    `layer`: that of GSLM where it is not named, for hubert with k=500 also 9. A `checkpoint` is a published `km.bin`,
    read without scikit-learn.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.load_codebook(features, k, layer, **options).codes


@_written_out(_LoaderOptions, zoo="gslm")
def gslm_ulm(
    features: str | None = None, k: int | None = None, **options: Unpack[_LoaderOptions]
) -> tuple[GSLMUnitLM, UnitDictionary]:
    """GSLM's unit language model, and the dictionary of its tokens (Lakhotia et al. 2021, arXiv 2102.01192).

    `features`: hubert (default), cpc, w2v2 or logmel; `k`: 50, 100 (default) or 200. Returns `(ulm, tokenizer)`:
    `ulm.loglikelihood(tokenizer.encode(units))` is the sum of log p(unit | units before) over deduplicated units, in
    nats; `ulm.generate` continues units. A `checkpoint` is a `.tgz` with dict.txt, or lies beside it.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.ulm(features, k, **options)


@_written_out(_TacotronOptions, zoo="gslm")
def gslm_tacotron(features: str | None = None, k: int | None = None, **options: Unpack[_TacotronOptions]) -> Tacotron:
    """Tacotron 2 from GSLM's units to mel spectrograms, for `waveglow` (Shen et al. 2018, arXiv 1712.05884).

    `features` and `k` as for `gslm_ulm`. Returns `tacotron`: `tacotron([tacotron.codes.encode(units).ids], seed=0)`
    gives a list of spectrograms with `.mel` (80, frames). With `checkpoint=` also give `code_dict=`, the published
    table of its input ids, unless it lies beside the checkpoint.
    Options: zoo, checkpoint, code_dict, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.tacotron(features, k, **options)


@_written_out(_LoaderOptions, zoo="gslm")
def waveglow(**options: Unpack[_LoaderOptions]) -> WaveGlow:
    """WaveGlow of 256 channels with its denoiser, as GSLM uses it (Prenger et al. 2018, arXiv 1811.00002).

    Returns `waveglow`: `waveglow.speak(mel, seed=0)` gives speech, float32 (frames * 256,), of a spectrogram
    (80, frames), at the Tacotron's sample rate.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import gslm

    return gslm.waveglow(**options)


@_written_out(_LoaderOptions, zoo="twist")
def mhubert_base_25hz(**options: Unpack[_LoaderOptions]) -> tuple[MHuBERT, Callable[..., Tensor]]:
    """mHuBERT at 25 Hz and its `extract_features`, the encoder of TWIST (Hassid et al. 2023, arXiv 2305.13009).

    Returns `(model, extract_features)`. `extract_features(model, wav, sr, layer=None)` takes a float wav (1, samples)
    at any rate and gives float32 features (frames, 768), 25 per second, on the model's device; `layer` 1..12 is the
    block whose output is wanted, None the eleventh, which TWIST's units are made of. A `checkpoint` may also be a
    folder of transformers, such as slprl/mhubert-base-25hz.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.encoder(**options)


@_written_out(_LoaderOptions, zoo="twist")
def twist_codebook(k: int | None = None, **options: Unpack[_LoaderOptions]) -> Tensor:
    """TWIST's k-means codebook for layer 11 of `mhubert_base_25hz`: float32 (500, 768).

    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.codebook(k, **options).codes


@_written_out(_LoaderOptions, zoo="twist")
def twist_ulm(variant: str | None = None, **options: Unpack[_LoaderOptions]) -> TwistLM:
    """TWIST's unit language model (Hassid et al. 2023, arXiv 2305.13009), which began as OPT or LLaMA.

    `variant`: 350M (default), 1.3B or 7B, or slamkit's slam or slam_scaled. Returns `ulm`: `ulm.logprobs([units])`
    gives log p(unit | units before) of all units but the first, in nats; `ulm.generate([units], seed=0)` continues
    units, by default as published. A `checkpoint` may also be a zip or folder of transformers.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.ulm(variant, **options)


@_written_out(_VocoderOptions, zoo="twist")
def unit_hifigan(variant: str | None = None, **options: Unpack[_VocoderOptions]) -> UnitVocoder:
    """HiFi-GAN from units to speech (Polyak et al. 2021, arXiv 2104.00355): TWIST's, or another published one.

    `variant`: lj_mhubert_base_25hz (default), or one of Expresso and speech-to-speech translation, which
    `slmzoo list --zoo twist` shows. Returns `vocoder`: `vocoder(code, speaker_id=0, style_id=0, dur_prediction=False)`
    gives a waveform (samples,) of units (n,); `vocoder.speak([units], speaker=None, style=None)` a list of `Speech`.
    With `checkpoint=` also give `config=`, the published config.json, unless it lies beside the checkpoint.
    Options: zoo, checkpoint, config, map_location, progress, registry.
    """
    from slmzoo.systems import twist

    return twist.vocoder(variant, **options)


@_written_out(_PipelineOptions)
def pipeline(k: int | None = None, lmbda: float | None = None, **options: Unpack[_PipelineOptions]) -> Pipeline:
    """The whole system at an operating point: encoder, quantiser, language model, ELLA-V and codec, as one module.

    `pipeline.units(wav, sr)` gives `Units`; `pipeline.loglikelihood(units)` or `(wav=wav, sr=sr)` a float in nats;
    `pipeline.resynthesize(wav, sr, num_samples=1)` a list of `Speech` with `.wav` (1, samples) and `.sample_rate`.
    Options: zoo, map_location, progress, registry; dtype (of all parts, e.g. torch.bfloat16); weights ("int8" or
    "int8-weight-only": those of the language model and of ELLA-V as bytes, for decoding on a CPU); with_ulm and
    with_speech (False leaves the language model, or ELLA-V and the codec, out); variant (the features of the zoo gslm,
    the language model of the zoo twist); synthesizer ("hifigan": a unit vocoder of the operating point in place of the
    system's own acoustic model).

    Example: `torch.hub.load("slmzoo/slmzoo", "pipeline", zoo="demo")`
    """
    from slmzoo import hub

    return hub.pipeline(k=k, lmbda=lmbda, **options)
