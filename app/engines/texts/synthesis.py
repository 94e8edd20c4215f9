"""Texts for the parity gate, made from a sample: cut, mixed, spelt otherwise; and some that are hard to take apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.signature import Array, Batch, Signature

_TEXTS = 256
_LONG = 20_000

HOSTILE = (
    "",
    " ",
    "\n",
    "\t\n\r\x0b\x0c\x1c\x85\u00a0\u2028\u3000",
    "a",
    "I",
    "the and of to",
    "qzxv jqkz wvvx",
    "  two  blanks \t and\u00a0\u00a0 others  ",
    "line\nafter\r\nline\n\n",
    "NUL\x00in\x00words \x00",
    "UPPER lower MiXeD",
    # Digits of other scripts, superscripts and fractions are digits to some rules and not to others.
    "0123456789 3.14 1,000 42nd \u0663\u0664\u0665 \u00b2\u00b3 \u00bd",
    "under_score hy-phen o'clock e-mail@example.org http://example.org/?a=b&c",
    "£5 $5 5€ !!! ??? ... --- ###",
    # The same letters with accents in one character and in two.
    "café CAFÉ cafe\u0301 naïve Ångström A\u030angstro\u0308m",
    # A dotted capital i is two characters in lower case, a dotless small one is one.
    "\u0130stanbul ISPARTA \u0131s\u0131 I\u0307 \u0130\u0130\u0130",
    # What lower case or decomposition makes longer: sharp s, ligatures, the final sigma.
    "Straße STRASSE \u1e9e \ufb01ne \ufb00 \u0149 \u01f0",
    "ὈΔΥΣΣΕΎΣ ΣΑΣ σας",
    "zero\u200bwidth\u200cjoin\u200ders \ufeff soft\u00adhyphen",
    "e\u0301\u0302\u0323 \u0301 \u0301\u0301",
    # Emoji of one and of several characters.
    "emoji \U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea \u260e",
    "漢字 かな カタカナ \uff46\uff55\uff4c\uff4c \uff8a\uff9d\uff76\uff78 한국어",
    "العربية עברית हिन्दी ไทย",
    "\U0001d400\U0001d401 \ue000 \ufffd \U0010ffff",
    "w" * 200,
    "word " * 300,
    "é" * 100,
)


def text_batches(signature: Signature, sample: Batch, thresholds: Sequence[Mapping[Any, Array]]) -> list[Batch]:
    """Return batches for a model on texts: large ones of texts like the sample's, and odd ones, alone too."""
    del signature, thresholds
    random = np.random.default_rng(0)
    base: list[str] = list(sample.data)[:_TEXTS]
    spelt = [_SPELLINGS[index % len(_SPELLINGS)](text) for index, text in enumerate(base)]
    beside = [f"{text} {HOSTILE[index % len(HOSTILE)]}{text}" for index, text in enumerate(base)]
    long = " ".join(base)[:_LONG]
    batches = [base, spelt, beside, _mixed(base, random), _cut(base, random), list(HOSTILE), [long, "", long.upper()]]
    return [Batch(len(texts), texts) for texts in (*batches, *([text] for text in HOSTILE))]


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    str.upper,
    str.title,
    str.swapcase,
    lambda text: text.translate({ord(plain): other for plain, other in zip("aeiouncs", "áèîöüñçß", strict=True)}),
    # An accent as a character of its own.
    lambda text: text.replace("e", "e\u0301"),
    lambda text: text.replace(" ", " \n "),
    lambda text: text.replace(" ", ""),
    lambda text: text[::-1],
)


def _mixed(base: list[str], random: np.random.Generator) -> list[str]:
    """Return texts of the words of all, from none to some dozens of them."""
    words = [word for text in base for word in text.split()] or [""]
    lengths = random.integers(40, size=len(base))
    return [" ".join(words[index] for index in random.integers(len(words), size=length)) for length in lengths]


def _cut(base: list[str], random: np.random.Generator) -> list[str]:
    """Return pieces of texts, most of which begin and end within a word."""
    bounds = [np.sort(random.integers(len(text) + 1, size=2)) for text in base]
    return [text[start:end] for text, (start, end) in zip(base, bounds, strict=True)]
