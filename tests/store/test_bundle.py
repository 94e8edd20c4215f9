"""Code that travels with a model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import StoreError, VersionRefused
from app.store import bundle, load

NOTEBOOK = """
import numpy as np
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from app.store import save

def clean(X):
    return np.log1p(np.abs(X))

X = np.arange(12.0).reshape(6, 2)
model = make_pipeline(FunctionTransformer(clean), LinearRegression()).fit(X, X[:, 0])
print(save(model, X, "m", root={root!r}, code={code!r}).version)
"""


def run_notebook(
    root: Path, code: Path | None, folder: Path, cells: str = NOTEBOOK
) -> subprocess.CompletedProcess[str]:
    """Run the notebook's cells as a script of its own, where `clean` is ``__main__.clean``."""
    script = folder / "notebook.py"
    script.write_text(cells.format(root=str(root), code=None if code is None else str(code)))
    checkout = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, script], env={"PYTHONPATH": str(checkout)}, capture_output=True, text=True, check=False
    )


def test_a_notebooks_function_travels_with_its_model(root: Path, tmp_path: Path) -> None:
    code = tmp_path / "cleaning.py"
    code.write_text("import numpy as np\n\ndef clean(X):\n    return np.log1p(np.abs(X))\n")
    done = run_notebook(root, code, tmp_path)
    assert done.returncode == 0, done.stderr
    code.unlink()
    model = load("m", root=root)
    assert model.estimator.steps[0][1].func.__module__.startswith("model_code_")
    assert list(model.manifest.files) == ["model.joblib", "background.json", "code/cleaning.py"]


def test_a_notebooks_function_without_its_code_is_refused_with_the_remedy(root: Path, tmp_path: Path) -> None:
    done = run_notebook(root, None, tmp_path)
    assert done.returncode != 0
    assert "the model refers to code that the service will not have" in done.stderr
    assert "code='FILE.py'" in done.stderr
    assert not root.exists()


def test_a_module_that_only_the_notebook_finds_is_refused_and_comes_with_code(root: Path, tmp_path: Path) -> None:
    helpers = tmp_path / "cleaning_helpers.py"
    helpers.write_text("import numpy as np\n\ndef clean(X):\n    return np.log1p(np.abs(X))\n")
    own = "def clean(X):\n    return np.log1p(np.abs(X))\n"
    imported = NOTEBOOK.replace(own, "from cleaning_helpers import clean\n")
    assert imported != NOTEBOOK
    done = run_notebook(root, None, tmp_path, imported)
    assert f"the model refers to cleaning_helpers ({helpers}), which a service would not find" in done.stderr
    assert not root.exists()
    assert run_notebook(root, helpers, tmp_path, imported).returncode == 0
    helpers.unlink()
    assert load("m", root=root).version == 1


def test_code_is_run_once_and_two_versions_of_it_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "helpers.py"
    first = bundle.import_code(b"def f():\n    return 1\n", path)
    second = bundle.import_code(b"def f():\n    return 2\n", path)
    assert (first.f(), second.f()) == (1, 2)
    assert bundle.import_code(b"def f():\n    return 1\n", path) is first


@pytest.mark.parametrize(
    "content", [b"def f(:\n", b"import nowhere_to_be_found\n", b"raise SystemExit(3)\n", b"1 / 0\n"]
)
def test_code_that_cannot_be_imported_is_refused_and_forgotten(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(StoreError, match=r"helpers\.py cannot be imported"):
        bundle.import_code(content, tmp_path / "helpers.py")
    assert bundle.module_name(content) not in sys.modules


def test_what_is_no_python_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is no Python file; bring the \.py file"):
        bundle.read(tmp_path / "notebook.ipynb")
    with pytest.raises(StoreError, match="cannot be read: No such file"):
        bundle.read(tmp_path / "missing.py")


def test_code_that_was_changed_is_never_run(root: Path, tmp_path: Path) -> None:
    code = tmp_path / "cleaning.py"
    code.write_text("import numpy as np\n\ndef clean(X):\n    return np.log1p(np.abs(X))\n")
    assert run_notebook(root, code, tmp_path).returncode == 0
    mark = tmp_path / "executed"
    with (root / "m" / "1" / "code" / "cleaning.py").open("a") as file:
        file.write(f"open({str(mark)!r}, 'w')\n")
    with pytest.raises(VersionRefused, match=r"code/cleaning\.py is not the file that was saved"):
        load("m", root=root)
    assert not mark.exists()
