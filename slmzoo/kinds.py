"""Table of all kinds of model: role, loader, published format, and key of the rows."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

__all__ = ["KINDS", "Kind", "Role"]

Role = Literal[
    "encoder",
    "codebook",
    "quantizer",
    "language model",
    "acoustic model",
    "codec",
    "tokenizer",
    "settings",
    "evaluation data",
]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Kind of model. Functions are given by name, and imported when called."""

    name: str
    role: Role
    loader: str
    """`module:function` that loads a file, a path, as a model."""
    translator: str | None = None
    """`module:function` that turns the content of a published file into a `slmcore.files.checkpoint.Checkpoint`."""
    config_beside: str | None = None
    """`module:function` that takes the path of a published file and returns the config beside it, or None."""
    keys: frozenset[str] = frozenset()
    """Keys by which a published file of this kind is recognised; `a/b` is the key b within the value of a."""
    more_keys: frozenset[str] = frozenset()
    """Keys of the files of its published trainer, if different."""
    reader: str | None = None
    """`module:function` that reads a published file, a path, as a `Checkpoint`, if its content depends on a file beside
    it."""
    archives: tuple[str, ...] = ()
    """Extensions of published files for `reader` that are not pickles of torch."""
    point: tuple[str, ...] = ()
    """Fields of a `Choice` that identify its rows."""

    synthesizer: str | None = None
    """Name by which a pipeline asks for it as its synthesiser."""
    synthesizer_loader: str | None = None
    """`module:function` that loads it as a synthesiser of a `Source` and a `Choice`, whose variant is its row's."""

    def knows(self, content: Any) -> bool:
        """Whether the content of a published file is of this kind."""
        alternatives = (keys for keys in (self.keys, self.more_keys) if keys)
        return any(all(_holds(content, key.split("/")) for key in keys) for keys in alternatives)

    def load(self, path: Any) -> Any:
        """Load the model of a file."""
        return imported(self.loader)(path)

    def read(self, path: Path) -> Any:
        """Read a published file, and files beside it, as a checkpoint."""
        if self.reader is None:
            raise ValueError(f"A {self.name} is read by its content alone. Use `translate`.")
        return imported(self.reader)(path)

    def translate(self, content: Any, path: Path | None = None) -> Any:
        """Translate the content of a published file, with the config beside it if this kind has one."""
        if self.translator is None:
            raise ValueError(f"{self.name} has no published format other than its own. Load it as it is.")
        translate = imported(self.translator)
        if path is None or self.config_beside is None:
            return translate(content)
        return translate(content, config=imported(self.config_beside)(path))


def _holds(content: Any, path: list[str]) -> bool:
    for key in path:
        if not isinstance(content, Mapping) or key not in content:
            return False
        content = content[key]
    return True


def imported(name: str) -> Callable[..., Any]:
    """Import the function that `module:function` names; it may be a class's, `module:Class.function`."""
    module, _, function = name.partition(":")
    return attrgetter(function)(importlib.import_module(module))


KINDS = {
    kind.name: kind
    for kind in (
        # Other files of fairseq have a `model` too: those recognised by its content come first.
        Kind(
            name="gslm_ulm",
            role="language model",
            loader="gslm.ulm:load",
            translator="gslm.ulm:published",
            keys=frozenset({"model/decoder.embed_tokens.weight"}),
            reader="gslm.ulm.model:read_published",
            archives=(".tgz", ".tar.gz"),
            point=("variant", "k", "lmbda"),
        ),
        Kind(
            name="gslm_tacotron",
            role="acoustic model",
            loader="gslm.tacotron:load",
            translator="gslm.tacotron:published",
            keys=frozenset({"model_dict/decoder.attention_rnn.weight_ih"}),
            reader="gslm.tacotron.model:read_published",
            point=("variant", "k", "lmbda"),
            synthesizer="tacotron",
            synthesizer_loader="slmzoo.systems.gslm:synthesizer",
        ),
        Kind(
            name="gslm_codes",
            role="tokenizer",
            loader="gslm.tacotron.codes:read_lines",
            point=("variant", "k", "lmbda"),
        ),
        Kind(
            name="waveglow",
            role="acoustic model",
            loader="gslm.waveglow:load",
            translator="gslm.waveglow:published",
            keys=frozenset({"model_dict/upsample.weight"}),
        ),
        Kind(name="gslm_evaluation", role="evaluation data", loader="pathlib:Path", point=("variant",)),
        Kind(
            name="gslm_codebook",
            role="codebook",
            loader="slmcore.clustering.codebook:load",
            point=("variant", "k", "layer"),
        ),
        Kind(
            name="mhubert",
            role="encoder",
            loader="twist.mhubert:load",
            translator="twist.mhubert:published",
            keys=frozenset({"model/encoder.pos_conv.0.running_mean"}),
        ),
        Kind(
            name="twist_ulm",
            role="language model",
            loader="twist.lm:load",
            reader="twist.lm:read_published_file",
            archives=(".zip",),
            point=("variant", "k", "lmbda"),
        ),
        Kind(
            name="twist_ulm_config", role="settings", loader="slmcore.files.huggingface:read_json", point=("variant",)
        ),
        Kind(
            name="unit_hifigan",
            role="acoustic model",
            loader="twist.vocoder:load",
            translator="twist.published:published",
            config_beside="twist.published:config_beside",
            keys=frozenset({"generator/dict.weight"}),
            point=("k", "lmbda"),
            synthesizer="hifigan",
            synthesizer_loader="slmzoo.systems.twist:synthesizer",
        ),
        Kind(name="unit_hifigan_config", role="settings", loader="slmcore.files.huggingface:read_json"),
        Kind(name="unit_hifigan_speakers", role="settings", loader="twist.published:names_in"),
        Kind(name="unit_hifigan_styles", role="settings", loader="twist.published:names_in"),
        Kind(
            name="hubert",
            role="encoder",
            loader="gslm.hubert:load",
            translator="gslm.hubert:published",
            keys=frozenset({"model/label_embs_concat"}),
        ),
        Kind(
            name="wav2vec2",
            role="encoder",
            loader="gslm.wav2vec2:load",
            translator="gslm.wav2vec2:published",
            keys=frozenset({"model/quantizer.vars"}),
        ),
        Kind(
            name="cpc",
            role="encoder",
            loader="gslm.cpc:load",
            translator="gslm.cpc:published",
            keys=frozenset({"config", "weights/gEncoder.conv0.weight"}),
        ),
        Kind(name="log_mel", role="encoder", loader="gslm.log_mel:load"),
        Kind(
            name="uslm",
            role="acoustic model",
            loader="speechtokenizer.uslm:load",
            reader="speechtokenizer.uslm:read_published",
            translator="speechtokenizer.uslm:published",
            keys=frozenset({"model/nar_predict_layers.0.weight"}),
        ),
        Kind(name="uslm_symbols", role="tokenizer", loader="speechtokenizer.uslm:PhoneTokenizer.from_k2"),
        Kind(
            name="wavlm",
            role="encoder",
            loader="wavlm_codebooks.wavlm:load",
            translator="wavlm_codebooks.wavlm:published",
            keys=frozenset({"cfg", "model"}),
        ),
        Kind(
            name="codebook",
            role="codebook",
            loader="slmcore.clustering.codebook:load",
            translator="slmcore.clustering.codebook:published",
            keys=frozenset({"codebook"}),
            point=("k", "layer"),
        ),
        Kind(name="dpdp", role="quantizer", loader="dpdp.quantizer:load"),
        Kind(
            name="ulm",
            role="language model",
            loader="mistral_ulm:load",
            translator="mistral_ulm:published",
            keys=frozenset({"model_args", "model_state_dict"}),
            point=("k", "lmbda"),
        ),
        Kind(name="plm", role="language model", loader="mistral_ulm:load"),
        Kind(name="plm_tokenizer", role="tokenizer", loader="mistral_ulm:PhonemeTokenizer.from_file"),
        Kind(
            name="ellav",
            role="acoustic model",
            loader="ellav:load",
            translator="ellav:published",
            keys=frozenset({"model_args", "tokenizer", "model_state"}),
            point=("k", "lmbda"),
            synthesizer="ellav",
            synthesizer_loader="slmzoo.systems.dp_slm:synthesizer",
        ),
        Kind(
            name="wavtokenizer",
            role="codec",
            loader="wavtokenizer:load",
            translator="wavtokenizer:published",
            keys=frozenset({"state_dict/feature_extractor.encodec.quantizer.vq.layers.0._codebook.embed"}),
        ),
        Kind(
            name="speechtokenizer",
            role="codec",
            loader="speechtokenizer:load",
            translator="speechtokenizer:published",
            keys=frozenset({"quantizer.vq.layers.0._codebook.embed", "transform.weight"}),
            config_beside="speechtokenizer.published:config_beside",
            more_keys=frozenset({"generator", "discriminators"}),
            point=("variant",),
        ),
        Kind(
            name="soundstream",
            role="codec",
            loader="soundstream:load",
            translator="soundstream:published",
            keys=frozenset({"quantizer.vq.layers.0._codebook.embed"}),
            more_keys=frozenset({"state_dict/quantizer.vq.layers.0._codebook.embed"}),
            point=("variant",),
        ),
    )
}
"""Kinds of the built-in systems by name, in the order in which published files are recognised."""
