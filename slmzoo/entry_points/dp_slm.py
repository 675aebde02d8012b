"""Entry points of DP-SLM: WavLM, codebooks, DPDP, language models, ELLA-V and WavTokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slmzoo.signatures import LoaderOptions, PhonemeOptions, written_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from typing_extensions import Unpack

    from dpdp import DPDPQuantizer
    from ellav import EllaV
    from mistral_ulm import PhonemeTokenizer, UnitLM, UnitTokenizer
    from wavlm_codebooks import WavLM
    from wavtokenizer import WavTokenizer

__all__ = [
    "codebook",
    "dpdp_quantizer",
    "dpdp_quantizer_from_codebook",
    "ellav_phones_to_wavtokenizer",
    "ellav_units_to_wavtokenizer",
    "plm_us_arpa_hours_1k_steps_10k",
    "small_320_24k_4096",
    "small_600_24k_4096",
    "ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k",
    "ulm_wavlm_layer_11_dpdp_hours_60k_steps_200k",
    "wavlm_large",
]


@written_out(LoaderOptions)
def wavlm_large(**options: Unpack[LoaderOptions]) -> tuple[WavLM, Callable[..., Tensor]]:
    """WavLM Large and its `extract_features` (Chen et al. 2021, arXiv 2110.13900).

    Returns `(model, extract_features)`. `extract_features(model, wav, sr, layer=None)` takes a float wav (1, samples)
    at any rate and gives float32 features (frames, 1024), 50 per second, on the model's device; `layer` 1..24 is the
    block of the output (11 for the codebooks), None the last one, normalised. `model.features` does the same. Options:
    zoo, checkpoint, map_location, progress, registry.

    Example: `model, extract = torch.hub.load("slmzoo/slmzoo", "wavlm_large"); x = extract(model, wav, sr, layer=11)`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.wavlm(**options)


@written_out(LoaderOptions)
def codebook(layer: int | None = None, k: int | None = None, **options: Unpack[LoaderOptions]) -> Tensor:
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


@written_out(LoaderOptions)
def dpdp_quantizer_from_codebook(
    codebook: Tensor | None = None,
    lmbda: float | None = None,
    num_neighbors: int | None = None,
    *,
    k: int | None = None,
    layer: int | None = None,
    **options: Unpack[LoaderOptions],
) -> DPDPQuantizer:
    """A DPDP quantiser over a codebook tensor (k, dim), or over the zoo's codebook of `k` codes.

    `quantizer(features)` takes (frames, dim) and gives `(quantized_features, units)`: the straight-through estimate
    (frames, dim), and one unit for each frame, int64. `quantizer.segment(features)` gives `Units` with durations.
    `lmbda` may be any number >= 0; 0 is the nearest code. `num_neighbors` None means all codes with `codebook=`, and
    with `k=` the number of the downstream models, 5 % of k.
    Options: zoo, checkpoint, map_location, progress, registry.

    Example: `torch.hub.load("slmzoo/slmzoo", "dpdp_quantizer_from_codebook", k=500, lmbda=4500).segment(features)`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.quantizer(codebook, lmbda, num_neighbors, k=k, layer=layer, **options)


@written_out(LoaderOptions)
def ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[LoaderOptions]
) -> tuple[UnitLM, UnitTokenizer]:
    """The unit language model trained on 1,000 hours for 10,000 steps, and its tokenizer.

    Returns `(ulm, tokenizer)`: `ulm.loglikelihood(tokenizer.encode(units))` is the sum of log p(unit | previous units)
    over deduplicated units, in nats; `ulm.generate` continues units. Options: zoo, checkpoint, map_location, progress,
    registry. Example: `ulm.generate([[17, 3, 250]], max_new_units=100, temperature=0.9).units[0]`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ulm("hours_1k_steps_10k", k=k, lmbda=lmbda, **options)


@written_out(LoaderOptions)
def ulm_wavlm_layer_11_dpdp_hours_60k_steps_200k(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[LoaderOptions]
) -> tuple[UnitLM, UnitTokenizer]:
    """The unit language model trained on 60,000 hours for 200,000 steps, and its tokenizer: k=500, lmbda=4500.

    Returns `(ulm, tokenizer)`, as `ulm_wavlm_layer_11_dpdp_hours_1k_steps_10k` does.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ulm("hours_60k_steps_200k", k=k, lmbda=lmbda, **options)


@written_out(PhonemeOptions)
def plm_us_arpa_hours_1k_steps_10k(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[PhonemeOptions]
) -> tuple[UnitLM, PhonemeTokenizer]:
    """The language model over US English phonemes, and its tokenizer, without k and lmbda.

    Returns `(plm, tokenizer)`. With `checkpoint=` also give `tokenizer=`, the JSON with its phonemes.
    Options: zoo, checkpoint, tokenizer, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.plm(**options)


@written_out(LoaderOptions)
def ellav_units_to_wavtokenizer(
    k: int | None = None, lmbda: float | None = None, **options: Unpack[LoaderOptions]
) -> EllaV:
    """ELLA-V from units to the tokens of WavTokenizer at 40 Hz (Song et al. 2024, arXiv 2401.07333).

    Returns `ellav`: `ellav.generate(prompts, max_tokens, max_codec_tokens_per_phone, temperature, top_p)` takes lists
    of names such as ["u17", "u3"] and gives `(list of int64 tensors, list of bool)`.
    Options: zoo, checkpoint, map_location, progress, registry.

    Example: `codes, finished = ellav.generate([["u17", "u3"]], 200, 10, temperature=1.0, top_p=0.8)`
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ellav("units", k=k, lmbda=lmbda, **options)


@written_out(LoaderOptions)
def ellav_phones_to_wavtokenizer(**options: Unpack[LoaderOptions]) -> EllaV:
    """ELLA-V from US English phonemes to the tokens of WavTokenizer at 40 Hz; used as `ellav_units_to_wavtokenizer` is.

    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.ellav("phones", **options)


@written_out(LoaderOptions)
def small_600_24k_4096(
    pretrained: bool = True, **options: Unpack[LoaderOptions]
) -> tuple[WavTokenizer, Callable[..., Tensor], Callable[..., tuple[Tensor, int]]]:
    """WavTokenizer at 40 tokens per second (24 kHz, 4096 codes; Ji et al. 2024, arXiv 2408.16532).

    Returns `(model, encode, decode)`: `encode(model, wav (1, samples), sr)` gives codes (1, 1, frames), int64, and
    `decode(model, codes)` gives `(wav (1, frames * 600), 24000)`. `pretrained=False` leaves the weights random.
    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.codec_with_verbs("small_600_24k_4096", pretrained=pretrained, **options)


@written_out(LoaderOptions)
def small_320_24k_4096(
    pretrained: bool = True, **options: Unpack[LoaderOptions]
) -> tuple[WavTokenizer, Callable[..., Tensor], Callable[..., tuple[Tensor, int]]]:
    """WavTokenizer at 75 tokens per second; used as `small_600_24k_4096` is, with 320 samples per token.

    Options: zoo, checkpoint, map_location, progress, registry.
    """
    from slmzoo.systems import dp_slm

    return dp_slm.codec_with_verbs("small_320_24k_4096", pretrained=pretrained, **options)
