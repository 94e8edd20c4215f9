"""A Hugging Face text classifier, asked as an estimator of scikit-learn's is.

It is built from bytes alone: weights from safetensors, which hold numbers and nothing else, never a pickle; code from
the installed transformers, never from the model's author; and nothing is ever asked of the hub.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from app.errors import StoreError
from app.signature import Array

if TYPE_CHECKING:
    from sklearn.utils import Tags

ENGINE = "transformers"
# Where a version keeps the model's files.
FOLDER = "transformers"
CONFIG = f"{FOLDER}/config.json"
_SETTINGS = f"{FOLDER}/tokenizer_config.json"
LIBRARIES = ("transformers", "tokenizers", "torch", "safetensors")
# How far probabilities may be from those of another processor, relative to their size. They are float32 arithmetic
# through a dozen layers: other vector instructions moved those of a 12-layer BERT, its weights sharpened until its
# logits reached 45, by up to 1.3e-4. Another tokenizer or other weights move them by far more than this.
RTOL = 1e-3
# Texts that are computed at once: of similar length they take half the time of one by one; more gain nothing.
BATCH = 8
# Longer texts are cut whatever the model says: the time they take grows with their square.
MOST_TOKENS = 8192

_WEIGHTS = ".safetensors"
_FEWEST_LABELS = 2
# What would load code, or needs libraries for other hardware, by its key anywhere in a config.
_REFUSED = {
    "auto_map": "names code of its author's, which is never run",
    "custom_pipelines": "names code of its author's, which is never run",
    "quantization_config": "is quantized; save it in float32 or float16: model.dequantize(), then save_pretrained",
    "fusion_config": "names code that replaces the model's own",
}
_ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_KNOWN_ATTENTION = (None, "eager", "sdpa")


class TextClassifier:
    """A fitted classifier of texts; safe to call from several threads at once.

    Parameters
    ----------
    pipeline
        A ``TextClassificationPipeline`` on the CPU, whose tokenizer knows the longest text it may make.
    batch
        Texts that are computed at once.

    Attributes
    ----------
    classes_: the labels, of shape (n_classes,), in the order of the model's ``id2label``.
    max_tokens: longer texts are cut after so many tokens.
    batch: as the parameter; a model that pads wrongly must be asked one by one.
    """

    def __init__(self, pipeline: Any, batch: int) -> None:
        self._pipeline = pipeline
        labels = pipeline.model.config.id2label
        self.classes_ = np.array([labels[index] for index in range(len(labels))])
        self._places = {label: index for index, label in enumerate(self.classes_.tolist())}
        self.max_tokens: int = pipeline.tokenizer.model_max_length
        self.batch = batch

    def predict(self, texts: Sequence[str]) -> Array:
        """Return the most probable label of each text, an array of shape (n,)."""
        labels: Array = self.classes_[self.predict_proba(texts).argmax(axis=1)]
        return labels

    def predict_proba(self, texts: Sequence[str]) -> Array:
        """Return the probability of each class, a float32 array of shape (n, n_classes).

        The pipeline's own scores: bit for bit where the text is alone. Several are computed in batches of similar
        length, where padding may move the last digits.
        """
        options = {"truncation": True, "top_k": None}
        if len(texts) == 1:
            answers, order = [self._pipeline(texts[0], **options)], [0]
        else:
            order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
            answers = self._pipeline([texts[index] for index in order], batch_size=self.batch, **options)
        scores = np.empty((len(texts), len(self.classes_)), dtype=np.float32)
        for row, answer in zip(order, answers, strict=True):
            for told in answer:
                scores[row, self._places[told["label"]]] = told["score"]
        return scores

    def __sklearn_tags__(self) -> Tags:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(two_d_array=False, string=True),
        )


def check_installed() -> None:
    """Raise StoreError, which says how to install them, where the libraries are missing."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise StoreError(
            f"a Hugging Face model needs {', '.join(missing)}, not installed here; install what it needs with: "
            "pip install -r requirements-transformers.txt"
        )


def check_config(config: Any) -> None:
    """Refuse a config that is not one of a single-label text classifier, or that leads to code.

    Raises
    ------
    StoreError
        Says what is wrong with the config, and what would be right.
    """
    if not isinstance(config, dict):
        raise StoreError("config.json holds no JSON object; save the model with save_pretrained")
    check_no_code("config.json", config)
    architectures = config.get("architectures") or ["none"]
    if not str(architectures[0]).endswith("ForSequenceClassification"):
        raise StoreError(
            f"config.json names the architecture {architectures[0]}, and models for sequence classification are "
            "served (…ForSequenceClassification); fine-tune one with AutoModelForSequenceClassification"
        )
    labels = config.get("id2label")
    if not isinstance(labels, dict) or not labels:
        raise StoreError(
            "config.json names no labels (id2label); set model.config.id2label = {0: 'negative', 1: 'positive'} "
            "and save the model again"
        )
    if config.get("problem_type") not in (None, "single_label_classification") or len(labels) < _FEWEST_LABELS:
        raise StoreError(
            f"config.json is of a model for {config.get('problem_type') or 'one output'} with {len(labels)} labels; "
            "models that choose one of two or more labels are served (single_label_classification)"
        )
    numbered = set(labels) == {str(index) for index in range(len(labels))}
    if not numbered or len({str(label) for label in labels.values()}) != len(labels):
        raise StoreError("config.json must number its labels from 0, each with a name of its own (id2label)")


def check_no_code(file: str, document: Any) -> None:
    """Refuse a parsed JSON file that leads to code of somebody's, at whatever depth; raises StoreError."""
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        if not isinstance(value, dict):
            continue
        left += value.values()
        for key, inner in value.items():
            if key in _REFUSED and inner:
                raise StoreError(f"{file} has {key}: the model {_REFUSED[key]}")
            if key in _ATTENTION and inner not in _KNOWN_ATTENTION:
                raise StoreError(f"{file} has {key} {inner!r}; eager and sdpa are the ones of transformers' own")


def parse(name: str, content: bytes) -> Any:
    """Read a JSON file of a model's; raises StoreError."""
    try:
        return orjson.loads(content)
    except ValueError as fault:
        raise StoreError(f"{PurePosixPath(name).name} is no JSON: {fault}") from None


def build(files: dict[str, bytes], *, batch: int = 1) -> TextClassifier:
    """Build a classifier from the contents of a model's files, by their paths in a version's folder.

    The files with weights are taken out of `files`, so that their bytes do not stay in memory beside the weights.

    Raises
    ------
    StoreError
        The libraries are missing, or the files are not those of a text classifier with all its weights.
    """
    check_installed()
    check_config(parse(CONFIG, files[CONFIG]))
    _prepare()
    with warnings.catch_warnings():
        # The libraries warn of each other's old ways; nobody here can mend them.
        warnings.simplefilter("ignore")
        config, tokenizer = _read_small_files(files)
        model = _load_model(config, files)
    tokenizer.model_max_length = _longest(tokenizer, model)
    from transformers import TextClassificationPipeline

    return TextClassifier(TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu"), batch)


def tokenizer_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Convert the tokenizer of a model to a ``tokenizer.json``, which needs no library of its own to be read.

    Returns the files that take the place of the tokenizer's, as :func:`build` takes them.
    """
    check_installed()
    _prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, tokenizer = _read_small_files(files)
        with tempfile.TemporaryDirectory(prefix="tokenizer-") as folder:
            tokenizer.save_pretrained(folder)
            return {f"{FOLDER}/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}


@cache
def _prepare() -> None:
    """Bring in the libraries: offline, on one thread, and silent."""
    # Requests run side by side already, and threads that were started before a fork are none after it.
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from huggingface_hub import constants
        from transformers.utils import logging
    # It has read the environment already where the model was fetched in this very process.
    constants.HF_HUB_OFFLINE = True
    torch.set_num_threads(1)
    # The first threads of a fork would race to replace the pool that they inherit, and one of them find none.
    os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _read_small_files(files: Mapping[str, bytes]) -> tuple[Any, Any]:
    """Return config and tokenizer. transformers reads them from a folder: one that nobody else can write to."""
    from transformers import AutoConfig, AutoTokenizer

    if _SETTINGS in files:
        check_no_code(PurePosixPath(_SETTINGS).name, parse(_SETTINGS, files[_SETTINGS]))
    with tempfile.TemporaryDirectory(prefix="tokenizer-") as folder:
        for path, content in files.items():
            if path.startswith(f"{FOLDER}/") and not path.endswith(_WEIGHTS):
                (Path(folder) / PurePosixPath(path).name).write_bytes(content)
        try:
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(
                folder, config=config, trust_remote_code=False, local_files_only=True
            )
        except Exception as fault:  # whatever the libraries raise for files that they cannot read
            told = " ".join(str(fault).replace(folder, "the model").split())
            raise StoreError(f"its config or tokenizer cannot be read: {type(fault).__name__}: {told}") from fault
    if not tokenizer.is_fast:
        raise StoreError("its tokenizer has no tokenizer.json, and none can be made of it; save one with it")
    return config, tokenizer


def _load_model(config: Any, files: dict[str, bytes]) -> Any:
    import torch
    from safetensors.torch import load
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING

    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise StoreError(f"transformers has no model for sequence classification of the type {config.model_type}")
    weights: dict[str, Any] = {}
    for path in sorted(path for path in files if path.endswith(_WEIGHTS)):
        try:
            weights |= load(files.pop(path))
        except Exception as fault:  # a header that is none
            raise StoreError(f"{PurePosixPath(path).name} cannot be read: {type(fault).__name__}: {fault}") from fault
    kind = MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)]
    # Without a name nothing is looked for; the weights become the model's without a copy. In float32, as half
    # precision is slow on processors, and not the same on all of them.
    try:
        model, told = kind.from_pretrained(
            None, config=config, state_dict=weights, dtype=torch.float32, output_loading_info=True
        )
    except RuntimeError as fault:
        raise StoreError(f"its weights do not fit config.json: {' '.join(str(fault).split())[:300]}") from fault
    missing = sorted(map(str, [*told["missing_keys"], *told["mismatched_keys"]]))
    if missing:
        raise StoreError(
            f"it lacks weights of its own config.json: {', '.join(missing[:5])}; save the fine-tuned model with "
            "save_pretrained"
        )
    return model


def _longest(tokenizer: Any, model: Any) -> int:
    """Return the number of tokens after which texts must be cut: what tokenizer and model say, the least of it."""
    room = getattr(model.config, "max_position_embeddings", None)
    room = room if isinstance(room, int) and room > 0 else MOST_TOKENS
    for name, part in model.named_modules():
        # RoBERTa and its kin count positions from after the padding's number.
        if name.endswith("position_embeddings") and getattr(part, "padding_idx", None) is not None:
            room -= part.padding_idx + 1
    return min(int(tokenizer.model_max_length), room, MOST_TOKENS)
