"""Names -> estimators, and what each needs of the features it is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.training.errors import TrainingError
from app.training.problem import Task

# Below this many rows to learn from, a linear model is as good as boosting and answers twice as fast.
ROWS_FOR_BOOSTING = 1000


@dataclass(frozen=True)
class Family:
    """One kind of estimator.

    Attributes
    ----------
    make: returns an unfitted estimator, given a seed.
    scaled: whether features must be of like size (distances, penalties, gradients).
    native: whether missing values and categories, as codes, are taken as they are.
    sparse: whether a sparse matrix, which texts give, is taken.
    """

    make: Callable[[int], Any]
    scaled: bool = True
    native: bool = False
    sparse: bool = True


def find_family(name: str, task: Task, *, texts: bool = False) -> Family:
    """Return the family called `name`, in the form that suits texts where `texts` are all there is.

    Raises
    ------
    TrainingError
        There is none of that name for the task.
    """
    families = families_of(task)
    if name not in families:
        raise TrainingError(f"there is no {task} estimator {name!r}; there are {', '.join(families)}")
    return _text_classifiers().get(name, families[name]) if texts and task == "classification" else families[name]


def default_name(task: Task, n_rows: int, *, texts: bool) -> str:
    """Choose an estimator that is accurate and answers fast: linear for texts and few rows, else boosting."""
    if texts or n_rows < ROWS_FOR_BOOSTING:
        return "logistic" if task == "classification" else "ridge"
    return "boosting"


def families_of(task: Task) -> dict[str, Family]:
    """Return the families for `task` by name."""
    return _classifiers() if task == "classification" else _regressors()


def _text_classifiers() -> dict[str, Family]:
    """Return the families that are made otherwise for TF-IDF.

    Its many small weights want little regularisation, and spam, complaints and the like are rare:
    each class weighs the same.
    """
    from sklearn import linear_model, naive_bayes, svm

    return {
        "logistic": Family(
            lambda seed: linear_model.LogisticRegression(C=30.0, class_weight="balanced", max_iter=2000), scaled=False
        ),
        "naive-bayes": Family(lambda seed: naive_bayes.MultinomialNB(alpha=0.1), scaled=False),
        "linear-svm": Family(lambda seed: svm.LinearSVC(random_state=seed), scaled=False),
    }


def _classifiers() -> dict[str, Family]:
    from sklearn import (
        discriminant_analysis,
        dummy,
        ensemble,
        linear_model,
        naive_bayes,
        neighbors,
        neural_network,
        svm,
        tree,
    )

    return {
        "dummy": Family(lambda seed: dummy.DummyClassifier(strategy="prior"), scaled=False),
        "logistic": Family(lambda seed: linear_model.LogisticRegression(max_iter=2000)),
        "sgd": Family(lambda seed: linear_model.SGDClassifier(loss="log_loss", average=True, random_state=seed)),
        "lda": Family(lambda seed: discriminant_analysis.LinearDiscriminantAnalysis(), sparse=False),
        "knn": Family(lambda seed: neighbors.KNeighborsClassifier()),
        "svm": Family(lambda seed: svm.SVC(random_state=seed)),
        "linear-svm": Family(lambda seed: svm.LinearSVC(random_state=seed)),
        "tree": Family(lambda seed: tree.DecisionTreeClassifier(min_samples_leaf=5, random_state=seed), scaled=False),
        "forest": Family(lambda seed: ensemble.RandomForestClassifier(random_state=seed), scaled=False),
        "extra-trees": Family(lambda seed: ensemble.ExtraTreesClassifier(random_state=seed), scaled=False),
        "boosting": Family(
            lambda seed: ensemble.HistGradientBoostingClassifier(
                learning_rate=0.06, max_iter=150, max_leaf_nodes=15, l2_regularization=1.0, random_state=seed
            ),
            scaled=False,
            native=True,
            sparse=False,
        ),
        "mlp": Family(lambda seed: neural_network.MLPClassifier(alpha=1.0, max_iter=300, random_state=seed)),
        "naive-bayes": Family(lambda seed: naive_bayes.GaussianNB(), sparse=False),
    }


def _regressors() -> dict[str, Family]:
    from sklearn import dummy, ensemble, linear_model, neighbors, neural_network, svm, tree

    return {
        "dummy": Family(lambda seed: dummy.DummyRegressor(), scaled=False),
        "linear": Family(lambda seed: linear_model.LinearRegression()),
        "ridge": Family(lambda seed: linear_model.Ridge()),
        "lasso": Family(lambda seed: linear_model.Lasso(alpha=0.1, max_iter=10_000)),
        "elastic-net": Family(lambda seed: linear_model.ElasticNet(alpha=0.1, max_iter=10_000)),
        "sgd": Family(lambda seed: linear_model.SGDRegressor(random_state=seed)),
        "knn": Family(lambda seed: neighbors.KNeighborsRegressor()),
        "svm": Family(lambda seed: svm.SVR()),
        "tree": Family(lambda seed: tree.DecisionTreeRegressor(min_samples_leaf=5, random_state=seed), scaled=False),
        "forest": Family(lambda seed: ensemble.RandomForestRegressor(random_state=seed), scaled=False),
        "extra-trees": Family(lambda seed: ensemble.ExtraTreesRegressor(random_state=seed), scaled=False),
        "boosting": Family(
            lambda seed: ensemble.HistGradientBoostingRegressor(
                learning_rate=0.06, max_iter=400, l2_regularization=1.0, random_state=seed
            ),
            scaled=False,
            native=True,
            sparse=False,
        ),
        "mlp": Family(
            lambda seed: neural_network.MLPRegressor(
                early_stopping=True, learning_rate_init=0.01, n_iter_no_change=30, max_iter=1000, random_state=seed
            )
        ),
    }
