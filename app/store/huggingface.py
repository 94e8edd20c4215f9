"""Hugging Face models: read from a folder or fetched from the hub, checked, and saved as a version like any other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.engines import text_classifier
from app.engines.text_classifier import BATCH, CONFIG, ENGINE, FOLDER, LIBRARIES, RTOL, TextClassifier
from app.errors import StoreError
from app.settings import Settings
from app.store.catalog import ModelStore
from app.store.files import read_file
from app.store.golden import difference
from app.store.inference import infer_task
from app.store.manifest import Manifest, installed_versions
from app.store.samples import take_sample
from app.store.saving import Saved, entries, prove, write_version

# What a model is asked about where its author gives no texts.
DEFAULT_TEXTS = (
    "I loved every minute of it.",
    "What a waste of time and money, I want it back.",
    "The parcel arrived on Tuesday.",
    "Win a prize now! Call this number and claim your free holiday for two.",
    "Can we move the meeting to three o'clock?",
)

_TOKENIZER = "tokenizer.json"
_BESIDE_TOKENIZER = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# What a tokenizer.json can be made of.
_VOCABULARIES = ("vocab.txt", "vocab.json", "merges.txt", "spiece.model", "spm.model", "sentencepiece.bpe.model")
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_FETCHED = ["*.safetensors", "*.json", "*.txt"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
# A request is looked at again after texts for about so many seconds, at most so many of them.
_LOOK_SECONDS = 1.0
_MOST_AT_ONCE = 512


def is_hub_name(path: Path) -> bool:
    """Tell whether what is no file here reads like the name of a model on the hub, ``owner/name``."""
    return (
        not path.exists()
        and not path.suffix.startswith((".joblib", ".pkl", ".pickle"))
        and bool(_HUB_NAME.fullmatch(str(path)))
    )


def fetch(name: str, revision: str | None) -> Path:
    """Fetch a model's files from the hub as they were at one commit; returns the folder with them.

    Raises
    ------
    StoreError
        No commit is given, or the files cannot be fetched.
    """
    if revision is None or not _COMMIT.fullmatch(revision):
        raise StoreError(
            f"there is no folder {name} here; if it is a model on the hub, name the commit with --revision and its "
            "40 hexadecimal digits, as a name alone may stand for another model tomorrow; the newest one: "
            f"python -c \"import huggingface_hub as h; print(h.model_info('{name}').sha)\""
        )
    text_classifier.check_installed()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=_FETCHED))
    except Exception as fault:  # the network's errors, the hub's, and the disk's
        raise StoreError(f"{name} cannot be fetched: {type(fault).__name__}: {fault}") from fault


def read_folder(folder: Path) -> dict[str, bytes]:
    """Read what is served of a folder that ``save_pretrained`` wrote: config, tokenizer and weights.

    Returns the contents by the path that each has in a version's folder.

    Raises
    ------
    StoreError
        It holds no text classifier, code of its author's, or weights that only a pickle holds.
    """
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise StoreError(
            f"{folder} holds an adapter; merge it into its model: merge_and_unload(), then save_pretrained"
        )
    if not (folder / "config.json").exists():
        raise StoreError(f"{folder} has no config.json; give a folder that save_pretrained wrote")
    files = {CONFIG: read_file(folder / "config.json")}
    text_classifier.check_config(text_classifier.parse(CONFIG, files[CONFIG]))
    names = [name for name in (_TOKENIZER, *_BESIDE_TOKENIZER, *_VOCABULARIES) if (folder / name).exists()]
    if not {_TOKENIZER, *_VOCABULARIES}.intersection(names):
        raise StoreError(f"{folder} has no tokenizer; save it beside the model: tokenizer.save_pretrained('{folder}')")
    if _TOKENIZER in names:
        names = [name for name in names if name not in _VOCABULARIES]
    files |= {f"{FOLDER}/{name}": read_file(folder / name) for name in names}
    weights = {f"{FOLDER}/{name}": read_file(folder / name) for name in _weights(folder)}
    if _TOKENIZER not in names:
        files = {CONFIG: files[CONFIG], **text_classifier.tokenizer_files(files)}
    return files | weights


def _weights(folder: Path) -> list[str]:
    """Return the names of the files with weights."""
    if (folder / _WEIGHTS).exists():
        return [_WEIGHTS]
    if (folder / _INDEX).exists():
        index = text_classifier.parse(_INDEX, read_file(folder / _INDEX))
        shards = index.get("weight_map") if isinstance(index, dict) else None
        names = sorted(set(shards.values())) if isinstance(shards, dict) else []
        if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
            raise StoreError(f"{_INDEX} names no files beside it (weight_map); save the model again")
        return names
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".ckpt"))
    if pickles:
        raise StoreError(
            f"{folder} has its weights in {pickles[0]}, a pickle, which is never loaded; if you trust it, convert it: "
            'python -c "from transformers import AutoModelForSequenceClassification as M; '
            f"M.from_pretrained('{folder}').save_pretrained('{folder}')\""
        )
    raise StoreError(f"{folder} has no {_WEIGHTS}; save the model with save_pretrained")


def save_classifier(  # noqa: PLR0913  # each is one thing to say of a version, all but two by name and optional
    files: Mapping[str, bytes],
    name: str,
    *,
    classifier: TextClassifier | None = None,
    texts: Sequence[str] = DEFAULT_TEXTS,
    root: Path | None = None,
    promote: bool = True,
    data: Mapping[str, object] | None = None,
) -> Saved:
    """Save a Hugging Face model as the next version of the model `name`.

    Parameters
    ----------
    files
        What :func:`read_folder` returns.
    name, root, promote, data
        As :func:`app.store.save` takes them.
    classifier
        The model that was built of `files`, where it was.
    texts
        Texts like those it was trained on; a few of them become the golden rows.

    Raises
    ------
    StoreError
        The files make no classifier that answers, or the store cannot be written.
    """
    catalog = ModelStore(root or Settings.from_environ().model_store)
    catalog.folder(name)
    classifier = classifier or text_classifier.build(dict(files), batch=BATCH)
    sample = take_sample(list(texts))
    _check_longest(classifier)
    classifier.batch = BATCH if _pads_well(classifier, texts) else 1
    proven = prove(classifier, sample, native=ENGINE, rtol=RTOL)
    cost = proven.engine["cost_us"]["predict_proba"]
    at_once = int(_LOOK_SECONDS * 1e6 / max(1.0, cost["call"] + cost["row"]))
    engine = {
        **proven.engine,
        "batch": classifier.batch,
        "rows_at_once": min(max(at_once, classifier.batch), _MOST_AT_ONCE),
        # Padding moves the last digits: no request's answer depends on its neighbours.
        "row_independent": dict.fromkeys(proven.signature.methods, False),
    }

    def manifest(version: int) -> Manifest:
        return Manifest(
            name=name,
            version=version,
            task=infer_task(classifier, sample.container, proven.signature.methods),
            signature=proven.signature,
            golden=proven.golden,
            library=installed_versions(("numpy", *LIBRARIES)),
            files=entries(files),
            data={**(data or {"source": "save_classifier"}), "max_tokens": classifier.max_tokens},
            engine=engine,
        )

    return write_version(catalog, name, files, manifest, promote=promote)


def _check_longest(classifier: TextClassifier) -> None:
    """Refuse a model that fails on texts of the length that it says it takes: any client could send one."""
    try:
        classifier.predict_proba(["word " * (classifier.max_tokens + 1)])
    except Exception as fault:  # an index beyond the model's positions, or memory
        raise StoreError(
            f"the model fails on a text of {classifier.max_tokens} tokens, where longer ones are cut "
            f"({type(fault).__name__}); set model_max_length in tokenizer_config.json to what it takes"
        ) from fault


def _pads_well(classifier: TextClassifier, texts: Sequence[str]) -> bool:
    """Tell whether texts of different lengths, computed at once, are answered as each alone."""
    asked = [*texts[:BATCH], *DEFAULT_TEXTS]
    try:
        together = classifier.predict_proba(asked)
        return all(
            difference(together[row : row + 1], classifier.predict_proba([text]), rtol=RTOL) is None
            for row, text in enumerate(asked)
        )
    except Exception:  # a tokenizer without a token for padding
        return False
