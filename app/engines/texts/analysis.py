"""From a text to its terms, exactly as the analyzers of scikit-learn's vectorizers make them.

An analyzer lowers the case, strips accents and cuts what is left into words, pairs of words and so on, or into
n-grams of characters. In which order the terms come does not matter here: they are counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from app.engines.base import NotReplayed

Analyzer = Callable[[str], Sequence[str]]

_WHITE_SPACES = re.compile(r"\s\s+")
# Longer words are rare, and the slices of one of a million characters would take up a gigabyte.
_LONGEST_WORD = 64


def describe(vectorizer: Any) -> dict[str, Any]:
    """Return the state of a vectorizer's analyzer.

    Raises
    ------
    NotReplayed
        It calls functions of its author's, or reads texts from files.
    """
    called = [name for name in ("analyzer", "preprocessor", "strip_accents") if callable(getattr(vectorizer, name))]
    words = vectorizer.analyzer == "word"
    if words and vectorizer.tokenizer is not None:
        called.append("tokenizer")
    if called:
        raise NotReplayed(f"{type(vectorizer).__name__} calls {', '.join(called)} of its own")
    if vectorizer.input != "content":
        raise NotReplayed(f"{type(vectorizer).__name__} reads texts from a {vectorizer.input}")
    stop_words = vectorizer.get_stop_words() if words else None
    return {
        "analyzer": vectorizer.analyzer,
        "lowercase": bool(vectorizer.lowercase),
        "strip_accents": vectorizer.strip_accents,
        "token_pattern": vectorizer.token_pattern if words else None,
        "stop_words": None if stop_words is None else np.array(sorted(stop_words), dtype=object),
        "ngram_range": list(map(int, vectorizer.ngram_range)),
    }


def build(state: Mapping[str, Any]) -> Analyzer:
    """Return the function that gives the terms of a text, each as often as it is there."""
    split = _SPLITTERS[state["analyzer"]](state)
    strip, lowercase = _STRIPPERS.get(state["strip_accents"]), state["lowercase"]

    def analyze(text: str) -> Sequence[str]:
        if lowercase:
            text = text.lower()
        return split(text if strip is None else strip(text))

    return analyze


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join([char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char)])


def _ascii_alone(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ASCII", "ignore").decode("ASCII")


_STRIPPERS: Mapping[str | None, Callable[[str], str]] = {"unicode": _without_accents, "ascii": _ascii_alone}


def _words(state: Mapping[str, Any]) -> Analyzer:
    tokens_of = re.compile(state["token_pattern"]).findall
    shortest, longest = state["ngram_range"]
    stop_words: Collection[str] = frozenset(() if state["stop_words"] is None else state["stop_words"].tolist())

    def split(text: str) -> Sequence[str]:
        tokens: list[str] = tokens_of(text)
        if stop_words:
            tokens = [token for token in tokens if token not in stop_words]
        if longest == 1:
            return tokens
        terms = tokens[:] if shortest == 1 else []
        for n in range(max(shortest, 2), longest + 1):
            terms += map(" ".join, zip(*(tokens[start:] for start in range(n)), strict=False))
        return terms

    return split


def _characters(state: Mapping[str, Any]) -> Analyzer:
    shortest, longest = state["ngram_range"]

    def split(text: str) -> Sequence[str]:
        return _ngrams(_WHITE_SPACES.sub(" ", text), shortest, longest)

    return split


def _characters_of_words(state: Mapping[str, Any]) -> Analyzer:
    shortest, longest = state["ngram_range"]
    # A word's n-grams are the same slices of it as of any other word of its length.
    slices = [_slices(length, shortest, longest) for length in range(_LONGEST_WORD + 1)]

    def split(text: str) -> Sequence[str]:
        terms: list[str] = []
        # White space is what splits here as there, so that none is left to be made one blank.
        for word in text.split():
            padded = f" {word} "
            length = len(padded)
            if length < shortest:
                terms.append(padded)
            elif length <= _LONGEST_WORD:
                terms += map(padded.__getitem__, slices[length])
            else:
                terms += _ngrams(padded, shortest, longest)
        return terms

    return split


def _ngrams(text: str, shortest: int, longest: int) -> list[str]:
    return [
        text[start : start + n]
        for n in range(shortest, min(longest, len(text)) + 1)
        for start in range(len(text) - n + 1)
    ]


def _slices(length: int, shortest: int, longest: int) -> list[slice]:
    return [
        slice(start, start + n) for n in range(shortest, min(longest, length) + 1) for start in range(length - n + 1)
    ]


_SPLITTERS: Mapping[str, Callable[[Mapping[str, Any]], Analyzer]] = {
    "word": _words,
    "char": _characters,
    "char_wb": _characters_of_words,
}
