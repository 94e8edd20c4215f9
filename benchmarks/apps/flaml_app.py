"""FLAML with its defaults on the rows of a joblib file; texts become TF-IDF first, since it takes none. Prints JSON."""

import json
import statistics
import sys
import time
import warnings

import joblib
import numpy as np
import pandas as pd
from flaml import AutoML
from sklearn import metrics

warnings.simplefilter("ignore")
rows = joblib.load(sys.argv[1])
X_train, X_test, front = rows["X_train"], rows["X_test"], None
if isinstance(X_train, dict):
    X_train, X_test = pd.DataFrame(X_train), pd.DataFrame(X_test)
if isinstance(X_train, list):
    from sklearn.feature_extraction.text import TfidfVectorizer

    front = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    X_train, X_test = front.fit_transform(X_train), front.transform(X_test)
if rows["task"] == "classification":
    # Its boosters take no words for classes.
    classes, codes = np.unique(np.concatenate([rows["y_train"], rows["y_test"]]), return_inverse=True)
    rows["y_train"], rows["y_test"] = codes[: len(rows["y_train"])], codes[len(rows["y_train"]) :]
automl = AutoML()
automl.fit(
    X_train,
    rows["y_train"],
    task=rows["task"],
    time_budget=rows["budget"],
    verbose=0,
    seed=1,
)
y = rows["y_test"]
if rows["metric"] == "roc_auc":
    value = metrics.roc_auc_score(y == automl.classes_[1], automl.predict_proba(X_test)[:, 1])
elif rows["metric"] == "accuracy":
    value = metrics.accuracy_score(y, automl.predict(X_test))
else:
    value = metrics.r2_score(y, automl.predict(X_test))


def ask() -> None:
    """Ask for one row, from what a client would send."""
    automl.predict(front.transform(rows["X_test"][:1]) if front else X_test[:1])


taken = []
for _ in range(200):
    began = time.perf_counter()
    ask()
    taken.append(time.perf_counter() - began)
told = {"value": float(np.asarray(value)), "ms": statistics.median(taken) * 1e3, "choice": str(automl.best_estimator)}
sys.stdout.write(json.dumps(told) + "\n")
