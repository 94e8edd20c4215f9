"""Pipelines on texts have a form that makes the terms that scikit-learn makes, and gives its own answers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, chi2
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import BernoulliNB, ComplementNB, MultinomialNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVC

from app import store
from app.engines import SklearnEngine, choose, rebuild, state, texts
from app.engines.base import Form, NotReplayed
from app.engines.chosen import SIZES
from app.engines.gate import compare, each_row, judge
from app.engines.texts.synthesis import HOSTILE, text_batches
from app.signature import Batch, Signature
from app.training.preprocess import Preparation, make_tfidf
from tests.engines.helpers import signature_of

_WORDS = (
    "the a of and win prize now free call claim café naïve Straße I'm ok lol 2nd £100 cash! meet you at home tonight "
    "love see later sorry can't talk über Ångström e-mail under_score \u0130stanbul \u0131ss\u0131z ΣΑΣ 漢字 3.14 ?? :)"
)


def messages(rows: int, seed: int = 0) -> list[str]:
    """Texts of 1 to 25 words, some of them new, in any case and with blanks of all kinds between them."""
    random = np.random.default_rng(seed)
    return [_message(random) for _ in range(rows)]


def _message(random: np.random.Generator) -> str:
    blanks = (" ", " ", " ", "  ", "\n", "\t ", "\u00a0", ", ")
    spell = (str, str, str, str.upper, str.title, lambda word: word[::-1], lambda word: f"{word}{random.integers(50)}")
    words = random.choice(_WORDS.split(), size=random.integers(1, 25))
    return "".join(spell[random.integers(len(spell))](word) + str(random.choice(blanks)) for word in words)


TEXTS = messages(240)
TWO = np.array(["spam" if "prize" in text or "£" in text else "ham" for text in TEXTS])
THREE = np.array(["long" if len(text) > 90 else "mid" if len(text) > 40 else "short" for text in TEXTS], dtype=object)
NUMBERS = np.array([float(len(text)) for text in TEXTS])

pytestmark = pytest.mark.filterwarnings("ignore")


def form_of(estimator: Any) -> Form:
    (form,) = texts.forms(estimator, signature_of(estimator, TEXTS))
    return form


def hard_batches(signature: Signature, sample: list[str]) -> list[Batch]:
    """Texts that the fitted model has not seen: like those, in the gate's spellings, and hostile."""
    return [
        Batch(300, messages(300, seed=1)),
        *text_batches(signature, Batch(len(sample), sample), []),
        Batch(2, ["", "  "]),
    ]


def assert_parity(estimator: Any) -> Form:
    """Hold the form against scikit-learn: each method, many texts and each alone."""
    signature = signature_of(estimator, TEXTS)
    form, native = form_of(estimator), SklearnEngine(estimator, signature)
    assert set(form.kernels) == set(signature.methods)
    for method, kernel in form.kernels.items():
        for batch in hard_batches(signature, messages(40, seed=2)):
            expected: Any = native.run(batch, method)
            assert compare(kernel(batch.data), expected)[0] is None
            for index, row in enumerate(each_row(batch)):
                assert compare(kernel(row.data), expected[index : index + 1])[0] is None
    return form


VECTORIZERS: dict[str, Callable[[], Any]] = {
    "defaults": TfidfVectorizer,
    "counts": CountVectorizer,
    "counts in float64": lambda: CountVectorizer(dtype=np.float64),
    "presence": lambda: CountVectorizer(binary=True),
    "presence, weighed": lambda: TfidfVectorizer(binary=True),
    "case kept": lambda: TfidfVectorizer(lowercase=False),
    "accents decomposed": lambda: TfidfVectorizer(strip_accents="unicode"),
    "accents to ascii": lambda: TfidfVectorizer(strip_accents="ascii"),
    "english stop words": lambda: TfidfVectorizer(stop_words="english", ngram_range=(1, 2)),
    "own stop words": lambda: TfidfVectorizer(stop_words=["the", "of", "home"], ngram_range=(1, 3)),
    "own tokens": lambda: TfidfVectorizer(token_pattern=r"(?u)\b\w+\b|[£$€!?]"),
    "a group of a token": lambda: TfidfVectorizer(token_pattern=r"(\w+)[^\w]"),
    "pairs of words alone": lambda: TfidfVectorizer(ngram_range=(2, 2)),
    "words to triples": lambda: TfidfVectorizer(ngram_range=(1, 3)),
    "the most frequent": lambda: TfidfVectorizer(max_features=15),
    "neither rare nor frequent": lambda: TfidfVectorizer(min_df=3, max_df=0.5),
    "a fixed vocabulary": lambda: TfidfVectorizer(vocabulary=["prize", "free", "home", "unseen"]),
    "characters": lambda: TfidfVectorizer(analyzer="char", ngram_range=(1, 4)),
    "long characters": lambda: CountVectorizer(analyzer="char", ngram_range=(3, 3)),
    "characters in words": lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)),
    "characters of short words": lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(5, 8)),
    "single characters": lambda: CountVectorizer(analyzer="char_wb", ngram_range=(1, 1)),
    "characters without accents": lambda: TfidfVectorizer(analyzer="char_wb", strip_accents="unicode"),
    "sublinear": lambda: TfidfVectorizer(sublinear_tf=True),
    "no idf": lambda: TfidfVectorizer(use_idf=False),
    "rough idf": lambda: TfidfVectorizer(smooth_idf=False),
    "norm l1": lambda: TfidfVectorizer(norm="l1", sublinear_tf=True),
    "no norm": lambda: TfidfVectorizer(norm=None),
    "counts, then weighed": lambda: make_pipeline(CountVectorizer(), TfidfTransformer(sublinear_tf=True)),
    "the best": lambda: make_pipeline(TfidfVectorizer(), SelectKBest(chi2, k=20)),
    "words and characters": lambda: make_tfidf(Preparation(words="both")),
    "a union of pipelines": lambda: make_union(
        make_pipeline(CountVectorizer(), TfidfTransformer()),
        make_pipeline(TfidfVectorizer(analyzer="char"), SelectKBest(chi2, k=9)),
        CountVectorizer(analyzer="char_wb", ngram_range=(2, 3)),
    ),
    "a union, weighed": lambda: make_pipeline(
        FeatureUnion([("words", CountVectorizer()), ("none", "drop"), ("chars", CountVectorizer(analyzer="char"))]),
        TfidfTransformer(),
    ),
}


@pytest.mark.parametrize("vectorizer", VECTORIZERS)
def test_terms_are_scikit_learns_to_the_last_bit(vectorizer: str) -> None:
    estimator = make_pipeline(VECTORIZERS[vectorizer](), LinearSVC(random_state=0)).fit(TEXTS, TWO)
    form = assert_parity(estimator)
    scores: Any = form.kernels["decision_function"](messages(200, seed=3))
    assert np.array_equal(scores, estimator.decision_function(messages(200, seed=3)))


FINALS: dict[str, tuple[Callable[[], Any], Any]] = {
    "logistic": (LogisticRegression, TWO),
    "logistic of three": (LogisticRegression, THREE),
    "margins of three": (lambda: LinearSVC(random_state=0), THREE),
    "descent": (lambda: SGDClassifier(loss="log_loss", average=True, random_state=0), THREE),
    "descent of margins": (lambda: SGDClassifier(random_state=0), TWO),
    "ridge of classes": (RidgeClassifier, THREE),
    "ridge of two classes": (RidgeClassifier, TWO),
    "no intercept": (lambda: LogisticRegression(fit_intercept=False), TWO),
    "least squares": (LinearRegression, NUMBERS),
    "ridge": (Ridge, NUMBERS),
    "ridge of two outputs": (Ridge, np.column_stack([NUMBERS, -NUMBERS])),
    "multinomial": (lambda: MultinomialNB(alpha=0.1), TWO),
    "multinomial of three": (MultinomialNB, THREE),
    "multinomial of equal classes": (lambda: MultinomialNB(fit_prior=False), THREE),
    "complement": (ComplementNB, THREE),
    "complement, normalised": (lambda: ComplementNB(norm=True), TWO),
    "complement of one class": (ComplementNB, np.full(len(TEXTS), "ham")),
    "bernoulli": (BernoulliNB, THREE),
    "bernoulli of heavy terms": (lambda: BernoulliNB(binarize=0.2), TWO),
    "multinomial without smoothing": (lambda: MultinomialNB(alpha=0.0), THREE),
    "complement without smoothing": (lambda: ComplementNB(alpha=0.0), THREE),
    "bernoulli without smoothing": (lambda: BernoulliNB(alpha=0.0), THREE),
    "bernoulli of weights": (lambda: BernoulliNB(binarize=None), TWO),
}


@pytest.mark.parametrize("final", FINALS)
def test_forms_answer_as_scikit_learn_does(final: str) -> None:
    make, y = FINALS[final]
    assert_parity(make_pipeline(TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2)), make()).fit(TEXTS, y))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_so_they_do_where_probabilities_are_calibrated(method: str) -> None:
    pipeline = make_pipeline(TfidfVectorizer(), LinearSVC(random_state=0))
    assert_parity(CalibratedClassifierCV(pipeline, method=method, ensemble=False, cv=3).fit(TEXTS, TWO))


def test_so_they_do_behind_a_threshold() -> None:
    pipeline = make_pipeline(TfidfVectorizer(), MultinomialNB())
    assert_parity(FixedThresholdClassifier(pipeline, threshold=0.2, pos_label="spam").fit(TEXTS, TWO))


def test_searches_are_opened() -> None:
    search = GridSearchCV(make_pipeline(TfidfVectorizer(), LogisticRegression()), {"logisticregression__C": [1, 9]})
    assert_parity(search.fit(TEXTS, TWO))


def test_a_vote_has_the_form_of_its_members() -> None:
    members = [
        ("words", make_pipeline(make_tfidf(), LogisticRegression())),
        ("characters", make_pipeline(make_tfidf(Preparation(words="characters")), MultinomialNB())),
    ]
    vote = VotingClassifier(members, voting="soft").fit(TEXTS, TWO)
    chosen = choose(vote, signature_of(vote, TEXTS), Batch(len(TEXTS), TEXTS))
    told = {told["name"]: told["why_not"] for told in chosen.record["candidates"]}
    assert told == {"sklearn": None, "blend": None}


# The gate's texts tell a form that takes them apart in another way

WRONG: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "case": (TfidfVectorizer, {"lowercase": False}),
    "accents": (lambda: TfidfVectorizer(strip_accents="unicode"), {"strip_accents": None}),
    "accents to ascii": (lambda: TfidfVectorizer(strip_accents="unicode"), {"strip_accents": "ascii"}),
    "stop words": (lambda: TfidfVectorizer(stop_words=["the", "of"], ngram_range=(1, 2)), {"stop_words": None}),
    "single letters": (lambda: TfidfVectorizer(ngram_range=(1, 2)), {"token_pattern": r"(?u)\b\w+\b"}),
    "letters alone": (TfidfVectorizer, {"token_pattern": r"(?u)\b[^\W\d_]{2,}\b"}),
    "ascii alone": (TfidfVectorizer, {"token_pattern": r"(?a)\b\w\w+\b"}),
    "shorter n-grams": (lambda: TfidfVectorizer(ngram_range=(1, 2)), {"ngram_range": [1, 1]}),
    "n-grams across words": (lambda: TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)), {"analyzer": "char"}),
}


@pytest.mark.parametrize("rule", WRONG)
def test_the_gate_refuses_a_form_that_has_a_rule_wrong(rule: str) -> None:
    make, change = WRONG[rule]
    estimator = make_pipeline(make(), LinearSVC(random_state=0)).fit(TEXTS, TWO)
    signature = signature_of(estimator, TEXTS)
    written: Any = form_of(estimator).state
    written["front"]["source"]["analyzer"].update(change)
    kernel = texts.rebuild(written, signature).kernels["decision_function"]
    batches = text_batches(signature, Batch(100, TEXTS[:100]), [])
    assert judge(SklearnEngine(estimator, signature), kernel, "decision_function", batches).why_not is not None


# What is left to scikit-learn


def shout(text: str) -> str:
    return text.upper()


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a tokenizer": (lambda: TfidfVectorizer(tokenizer=str.split), "calls tokenizer of its own"),
    "a preprocessor": (lambda: CountVectorizer(preprocessor=shout), "calls preprocessor of its own"),
    "an analyzer": (lambda: TfidfVectorizer(analyzer=str.split), "calls analyzer of its own"),
    "accents": (lambda: TfidfVectorizer(strip_accents=shout), "calls strip_accents of its own"),
    "float32": (lambda: TfidfVectorizer(dtype=np.float32), "counts in float32"),
    "hashing": (
        lambda: HashingVectorizer(n_features=64),
        "HashingVectorizer is not among the steps that are replayed on texts",
    ),
    "scaling": (lambda: make_pipeline(TfidfVectorizer(), MaxAbsScaler()), "MaxAbsScaler is not among the steps"),
    "weights": (
        lambda: FeatureUnion([("words", TfidfVectorizer())], transformer_weights={"words": 2.0}),
        "FeatureUnion has transformer_weights",
    ),
}


@pytest.mark.parametrize("vectorizer", REFUSED)
def test_what_is_not_replayed_is_refused_by_its_reason(vectorizer: str) -> None:
    make, why = REFUSED[vectorizer]
    estimator = make_pipeline(make(), LogisticRegression()).fit(TEXTS, TWO)
    with pytest.raises(NotReplayed, match=why):
        form_of(estimator)
    chosen = choose(estimator, signature_of(estimator, TEXTS), Batch(50, TEXTS[:50]))
    assert why in chosen.record["why_not"]
    assert chosen.record["choice"]["predict"] == dict.fromkeys(SIZES, "sklearn")


def test_files_are_not_read() -> None:
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, TWO)
    estimator[0].set_params(input="filename")
    with pytest.raises(NotReplayed, match="reads texts from a filename"):
        texts.forms(estimator, Signature("texts", (), {}))


def test_a_subclass_is_another_vectorizer() -> None:
    class Quiet(TfidfVectorizer):  # type: ignore[misc]  # scikit-learn has no types
        pass

    estimator = make_pipeline(Quiet(), LogisticRegression()).fit(TEXTS, TWO)
    with pytest.raises(NotReplayed, match="Quiet is not among the steps"):
        form_of(estimator)


def test_a_final_estimator_of_another_kind_is_named() -> None:
    estimator = make_pipeline(TfidfVectorizer(), RandomForestClassifier(5, random_state=0)).fit(TEXTS, TWO)
    with pytest.raises(NotReplayed, match="RandomForestClassifier has no other form on terms"):
        form_of(estimator)


def test_bernoulli_below_zero_is_scikit_learns_to_refuse() -> None:
    estimator = make_pipeline(TfidfVectorizer(), BernoulliNB()).fit(TEXTS, TWO)
    estimator[-1].set_params(binarize=-1.0)
    with pytest.raises(NotReplayed, match="BernoulliNB has no other form on terms"):
        texts.forms(estimator, Signature("texts", (), {}))


# Saved and served


@pytest.mark.parametrize("final", ["logistic", "multinomial of three", "bernoulli of heavy terms", "ridge"])
def test_a_form_from_its_file_gives_the_same_bits(final: str) -> None:
    make, y = FINALS[final]
    estimator = make_pipeline(make_tfidf(Preparation(words="both")), make()).fit(TEXTS, y)
    form = form_of(estimator)
    assert form.state is not None
    content = state.dump(form.state)
    assert content is not None
    again = texts.rebuild(state.load(content), signature_of(estimator, TEXTS))
    assert set(again.kernels) == set(form.kernels)
    for method, kernel in form.kernels.items():
        assert np.array_equal(again.kernels[method](list(HOSTILE)), kernel(list(HOSTILE)))


def test_a_calibrated_form_comes_back_from_its_file() -> None:
    pipeline = make_pipeline(TfidfVectorizer(stop_words="english"), LinearSVC(random_state=0))
    form = form_of(CalibratedClassifierCV(pipeline, ensemble=False, cv=3).fit(TEXTS, TWO))
    again = texts.rebuild(state.load(state.dump(form.state or {}) or b""), Signature("texts", (), {}))
    assert np.array_equal(again.kernels["predict_proba"](TEXTS), form.kernels["predict_proba"](TEXTS))


def tfidf() -> Pipeline:
    return make_pipeline(make_tfidf(Preparation(words="both")), LogisticRegression()).fit(TEXTS, TWO)


def test_a_saved_pipeline_answers_one_text_by_its_form_and_without_scikit_learn(tmp_path: Path) -> None:
    estimator = tfidf()
    saved = store.save(estimator, TEXTS, "tone", root=tmp_path)
    engine = store.ModelStore(tmp_path).manifest("tone", 1).engine
    assert {sizes["one"] for sizes in engine["choice"].values()} == {"texts"}
    assert (saved.path / state.FILE).is_file()
    # Many texts may take either, as measured: what is measured here is one that is asked first.
    program = (
        "import sys; from pathlib import Path; from app.signature import Batch; from app.store import load;"
        f"model = load('tone', root=Path({str(tmp_path)!r}));"
        f"print(model.engine.run(Batch(1, {TEXTS[:1]!r}), 'predict')[0], 'sklearn' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert told == [str(estimator.predict(TEXTS[:1])[0]), "False"]


def test_threads_share_a_form() -> None:
    estimator = tfidf()
    signature = signature_of(estimator, TEXTS)
    form = form_of(estimator)
    content = state.dump(form.state or {})
    record = {"choice": {"predict_proba": dict.fromkeys(SIZES, form.name)}}
    engine, native = rebuild(record, signature, {state.FILE: content or b""}, lambda: estimator)
    asked = [TEXTS[start : start + 1 + start % 7] for start in range(200)]
    expected = [form.kernels["predict_proba"](rows) for rows in asked]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda rows: engine.run(Batch(len(rows), rows), "predict_proba"), asked))
    assert all(map(np.array_equal, answers, expected))
    assert not native.loaded
