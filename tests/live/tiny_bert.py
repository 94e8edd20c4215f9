"""A BERT of two layers with a tokenizer of its own, fine-tuned in a second on a few sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LABELS = ("bad", "good", "neither")
WORDS = {
    "bad": ("awful", "boring", "dull"),
    "good": ("lovely", "great", "fun"),
    "neither": ("tuesday", "parcel", "desk"),
}
TEXTS = tuple(
    f"{start} {word}{end}"
    for word in (word for words in WORDS.values() for word in words)
    for start in ("It was", "what a", "We had such a")
    for end in (".", " day", ", and that is all that there is to say of it")
)
MAX_TOKENS = 32


def label_of(text: str) -> str:
    return next(label for label, words in WORDS.items() if any(word in text for word in words))


def make(
    folder: Path, *, seed: int = 0, config: Mapping[str, Any] | None = None, vocabulary_only: bool = False
) -> Path:
    """Train the model and save it as its author would; `config` changes config.json afterwards."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    words = sorted({word for text in TEXTS for word in text.lower().replace(".", " .").replace(",", " ,").split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = BertTokenizer.from_pretrained(folder, model_max_length=MAX_TOKENS)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=MAX_TOKENS,
            id2label=dict(enumerate(LABELS)),
            label2id={label: index for index, label in enumerate(LABELS)},
        )
    )
    rows = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
    wanted = torch.tensor([LABELS.index(label_of(text)) for text in TEXTS])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(30):
        loss = model(**rows, labels=wanted).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval().save_pretrained(folder)
    if not vocabulary_only:
        (folder / "vocab.txt").unlink()
        tokenizer.save_pretrained(folder)
    if config:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | dict(config)))
    return folder
