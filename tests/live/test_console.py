"""The console in a real browser before the real service: what a person sees and does there."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from browser import Page, chromium, literal
from processes import ROOT, Load, Server, need, save_constant, start_gunicorn, start_nginx
from selenium.webdriver.common.keys import Keys
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from app.keys import add_key
from app.store import save

HOSTILE_COLUMN = '<img src=x onerror="ran=1"> it\'s $(id) `id` \\'
HOSTILE_NUMBER = "</script><script>ran=1</script>"
HOSTILE_CATEGORIES = ['\' OR "1" --', "<img src=x onerror=ran=1>", "</option></select><script>ran=1</script>"]
HOSTILE_LABELS = ["<b onclick=ran=1>yes</b>", "no & \"no\" 'no'"]
REPORT = b"""<!doctype html><title>r</title><style>h1 { color: rgb(1, 2, 3) }</style><h1>What it learnt</h1>
<img alt="dot" src="data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7">
<script>parent.parent.ran = 1; document.querySelector("h1").textContent = "ran"</script>"""
# Small and large, in the middle and in a corner.
STROKES = {
    "1": [[(0.4, 0.3), (0.52, 0.18), (0.52, 0.82)]],
    "2": [[(0.1, 0.2), (0.15, 0.12), (0.25, 0.12), (0.28, 0.22), (0.1, 0.45), (0.3, 0.45)]],
    "4": [[(0.55, 0.15), (0.3, 0.6), (0.72, 0.6)], [(0.6, 0.4), (0.6, 0.85)]],
    "7": [[(0.3, 0.2), (0.7, 0.2), (0.45, 0.85)]],
}


def people() -> tuple[pd.DataFrame, pd.Series[str]]:
    chance = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": chance.normal(40, 12, 300).round(1),
            "port": chance.choice(["Cherbourg", "Queenstown", "Southampton"], 300),
            "alone": chance.random(300) < 0.5,
        }
    )
    frame.loc[::9, "age"] = np.nan
    return frame, pd.Series(np.where((frame["age"] < 35) | (frame["port"] == "Cherbourg"), "yes", "no"))


def table_model(frame: pd.DataFrame, labels: Any, number: str, category: str) -> Any:
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), [number]),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), [category]),
        remainder="passthrough",
    )
    return make_pipeline(prepared, LogisticRegression(max_iter=500)).fit(frame, labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console")


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Any]:
    """The estimators in the store, by name."""
    store = folder / "store"
    X, y = load_iris(return_X_y=True, as_frame=True)
    frame, labels = people()
    hostile = pd.DataFrame({HOSTILE_COLUMN: HOSTILE_CATEGORIES * 20, HOSTILE_NUMBER: np.arange(60.0)})
    texts = ["see you at lunch", "win a prize now", "free money, call now", "the meeting is at noon"] * 10
    images, digits = load_digits(return_X_y=True)
    made = {
        "iris": (LogisticRegression(max_iter=500).fit(X, load_iris().target_names[y]), X),
        "people": (table_model(frame, labels, "age", "port"), frame),
        "hostile": (table_model(hostile, HOSTILE_LABELS * 30, HOSTILE_NUMBER, HOSTILE_COLUMN), hostile),
        "texts": (
            make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["ham", "spam", "spam", "ham"] * 10),
            texts,
        ),
        "pair": (LinearRegression().fit(X.iloc[:, :2], X.iloc[:, 2:]), X.iloc[:, :2]),
        "digits": (SVC(gamma=0.001).fit(images, digits), images),
    }
    for name, (estimator, sample) in made.items():
        save(estimator, sample, name, root=store)
    save_constant(store, 1.0)
    for number in range(6):
        save(made["iris"][0], X, f"tenant-{number}", root=store)
    return {name: estimator for name, (estimator, _) in made.items()}


@pytest.fixture(scope="module")
def service(models: dict[str, Any], folder: Path) -> Iterator[Server]:
    """Two workers without keys."""
    server = start_gunicorn(folder / "store", folder, DEFAULT_MODEL="iris")
    server.wait_for("/readyz")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def downloads(folder: Path) -> Path:
    (folder / "downloads").mkdir()
    return folder / "downloads"


@pytest.fixture(scope="module")
def driver(folder: Path, downloads: Path) -> Iterator[Any]:
    with chromium(folder / "profile", downloads) as driver:
        yield driver


@pytest.fixture
def page(driver: Any, service: Server) -> Iterator[Page]:
    """The console; when the test is over, nothing strange has run, and nothing is left behind."""
    page = Page(driver, service.url)
    page.resize(1280)
    driver.get_log("browser")
    yield page
    assert page.complaints() == []
    assert page.kept() == {"local": 0, "session": 0, "cookies": ""}
    assert page.run("return typeof window.ran") == "undefined"


def test_it_lists_the_models_and_shows_the_one_that_is_linked(page: Page) -> None:
    page.open("iris")
    page.wait_for_text("h1", "iris")
    tenants = [f"tenant-{number}" for number in range(6)]
    assert page.texts(".models b") == ["digits", "hostile", "iris", "m", "pair", "people", *tenants, "texts"]
    page.write("#model-filter", "tenant")
    page.wait(lambda: page.texts(".models b") == tenants, "the others are left out")
    page.write("#model-filter", "")
    assert page.text(".models [aria-current]").startswith("iris")
    page.find(".models a[href='#/people']").click()
    page.wait_for_text("h1", "people")
    assert page.driver.current_url.endswith("#/people")
    assert [link.get_attribute("href") for link in page.all(".top nav a")] == [
        f"{page.url}/docs",
        f"{page.url}/metrics",
    ]


def test_a_form_shows_label_probabilities_and_contributions(page: Page, models: dict[str, Any]) -> None:
    page.open("iris")
    for row in ([5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]):
        for index, value in enumerate(row):
            page.write(f"#field-{index}", str(value))
        asked = pd.DataFrame([row], columns=load_iris().feature_names)
        (expected,) = models["iris"].predict(asked)
        page.wait_for_text("#answer", expected)
        (probabilities,) = models["iris"].predict_proba(asked)
        shown = {
            name: f"{100 * share:.1f} %" if share >= 0.001 else "<0.1 %"
            for name, share in zip(models["iris"].classes_, probabilities, strict=True)
        }
        page.wait(lambda shown=shown: page.bars("#probabilities") == shown, "the probabilities are those of the model")
        page.wait_for_text("#contributions", f"of {expected}")
        assert set(page.bars("#contributions")) == set(load_iris().feature_names)
    assert "Version 1" in page.text("#answer-note")


def test_of_several_outputs_it_says_which_one_is_explained(page: Page) -> None:
    page.open("pair")
    page.wait_for_text("#contributions", "the value of output 1 of 2, the only one that is shown")


def test_errors_are_a_list_in_an_alert(page: Page) -> None:
    page.open("iris").find("#field-0")
    page.run_module(
        "answer.js",
        "document.body.replaceChildren((window.panel = new module.AnswerPanel(null)).element)",
    )
    page.run("panel.fail(['one', 'two'])")
    assert page.texts("[role=alert] > ul:not([role]) > li") == ["one", "two"]
    page.run("panel.wait('nothing yet')")
    assert page.all("[role=alert] *") == []


def test_categories_are_a_list_and_a_missing_value_can_be_said(page: Page, models: dict[str, Any]) -> None:
    def says(age: float, port: str, alone: bool) -> None:
        row = pd.DataFrame({"age": [age], "port": [port], "alone": [alone]})
        expected = f"{100 * models['people'].predict_proba(row)[0].max():.1f} %"
        page.wait(
            lambda: page.bars("#probabilities").get(page.answer()) == expected, f"{expected} is shown for {row.values}"
        )

    page.open("people")
    page.write("#field-0", "61")
    page.choose("#field-1", "Southampton")
    says(61, "Southampton", alone=False)
    page.choose("#field-1", "Cherbourg")
    says(61, "Cherbourg", alone=False)
    page.choose("#field-1", "another value …")
    page.write("#field-1-other", "Atlantis")
    says(61, "Atlantis", alone=False)
    page.tick("#field-2")
    says(61, "Atlantis", alone=True)
    page.tick("#field-0-missing")
    says(np.nan, "Atlantis", alone=True)
    assert '"age":null' in page.text("#curl")


def test_an_error_is_shown_at_the_input_that_it_points_to(page: Page) -> None:
    page.open("people")
    page.wait(page.answer, "there is an answer")
    page.write("#field-0", "1e999")
    page.wait_for_text("#field-0-error", "number")
    assert page.find("#field-0").get_attribute("aria-invalid") == "true"
    page.write("#field-0", "30")
    page.wait(lambda: page.text("#field-0-error") == "", "the error is gone")
    page.choose("#field-1", "another value …")
    page.write("#field-1-other", "Cherbourg")
    page.wait_for_text("#answer", "yes")


def test_a_range_is_a_slider_that_moves_with_its_number(page: Page) -> None:
    """A form of a made-up signature: a slider for a range, whole steps for whole numbers."""
    page.open("iris").find("#field-0")
    inputs = [
        {"name": "share", "dtype": "float64", "range": [0.1, 2.5], "nullable": False, "used": True},
        {"name": "rooms", "dtype": "int64", "range": [1, 8], "nullable": True, "used": True},
    ]
    page.run_module(
        "form.js",
        f"document.body.replaceChildren((window.view = new module.FieldsView({literal(inputs)}, () => {{}})).element)",
    )
    assert page.run("return view.values()") == [1.3, 5]
    sliders = page.all("input[type=range]")
    sliders[0].send_keys(Keys.ARROW_RIGHT)
    sliders[1].send_keys(Keys.HOME)
    assert page.run("return view.values()") == [1.31, 1]
    assert page.find("#field-0").get_attribute("value") == "1.31"
    page.write("#field-0", "7")
    assert page.run("return view.values()") == [7, 1]
    assert sliders[0].get_attribute("value") == "2.5"


def test_a_text_is_classified_as_it_is_written(page: Page) -> None:
    page.open("texts")
    page.wait_for_text("#answer-note", "Write a text")
    page.write("#text", "win free money")
    page.wait_for_text("#answer", "spam")
    page.wait(lambda: {"win", "free", "money"} <= set(page.bars("#contributions")), "the terms are explained")
    page.write("#text", "the meeting at lunch")
    page.wait_for_text("#answer", "ham")


def test_a_digit_that_is_drawn_is_recognised(page: Page) -> None:
    page.open("digits")
    for digit, strokes in STROKES.items():
        page.draw("#pad", *strokes)
        page.wait_for_text("#answer", digit)
        page.wait(lambda: page.all("#contributions canvas"), "what each pixel adds is drawn")
        page.button("Clear").click()
        page.wait_for_text("#answer-note", "Draw a digit")


def test_a_digit_can_be_drawn_by_keyboard(page: Page) -> None:
    page.open("digits").find("#pad").send_keys(" ", *[Keys.ARROW_DOWN] * 12)
    page.wait_for_text("#answer", "1")
    page.press(Keys.DELETE)
    page.wait_for_text("#answer-note", "Draw a digit")


def test_an_image_can_also_be_pasted_as_a_row_and_its_many_inputs_searched(page: Page) -> None:
    images, digits = load_digits(return_X_y=True)
    page.open("digits")
    page.button("Values").click()
    assert len(page.all(".field")) == 40
    for row, pasted in ((4, literal(images[4].tolist())), (8, ",".join(map(str, images[8])))):
        page.write("#paste", pasted)
        page.wait_for_text("#answer", str(digits[row]))
    page.write("#paste", "1, 2")
    page.wait_for_text(".paste .error", "2 values, and 64 are needed")
    page.write("[aria-label='Filter the inputs']", "x63")
    page.wait(lambda: page.texts(".field .name") == ["x63"], "one input is shown")


def test_names_and_categories_are_text_whatever_they_look_like(page: Page) -> None:
    page.open("hostile")
    page.wait(page.answer, "there is an answer")
    assert page.texts(".field .name") == [HOSTILE_COLUMN, HOSTILE_NUMBER]
    assert page.texts("#field-0 option") == [*sorted(HOSTILE_CATEGORIES), "another value …"]
    page.choose("#field-0", HOSTILE_CATEGORIES[1])
    page.wait(lambda: set(page.bars("#probabilities")) == set(HOSTILE_LABELS), "the classes are shown")
    page.wait(lambda: HOSTILE_COLUMN in page.bars("#contributions"), "the columns are shown")
    assert page.answer() in HOSTILE_LABELS
    assert page.all("main img, main script, main b[onclick]") == []


@pytest.mark.parametrize("name", ["iris", "people", "texts", "hostile"])
def test_the_code_that_it_shows_asks_the_same(page: Page, name: str) -> None:
    need("curl")
    page.open(name)
    if name == "texts":
        page.write("#text", 'it\'s "free" $(id) \\ `id`\nwin money')
    page.wait(lambda: page.text("#answer-note").startswith("Version"), "there is an answer")
    curl, python = (page.find(css).get_attribute("textContent") or "" for css in ("#curl", "#python"))
    command = {"curl": ["bash", "-c", curl], "python": [sys.executable, "-c", python]}
    said = {
        tool: subprocess.run(each, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for tool, each in command.items()
    }
    answer = page.answer()
    assert answer in said["curl"].replace('\\"', '"')
    assert answer in said["python"].replace("\\'", "'")


def test_a_file_comes_back_with_the_answers_beside_its_columns(
    page: Page, models: dict[str, Any], folder: Path, downloads: Path
) -> None:
    frame = pd.concat([people()[0]] * 20, ignore_index=True)
    frame.insert(1, "note", ['a "quoted"\nnote, ' * (row % 3) for row in range(len(frame))])
    frame["survived"] = "yes"
    path = folder / "people.csv"
    path.write_text("\ufeff" + frame.to_csv(index=False, lineterminator="\r\n"), encoding="utf-8")
    page.open("people").find("#file").send_keys(str(path))
    page.wait_for_text("#file-outcome", "6,000 rows are scored")
    assert "note, survived" in page.text("#file-outcome")
    page.button("Download").click()
    scored = list(csv.reader(io.StringIO(page.downloaded(downloads, "people.scored.csv"), newline="")))
    given = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    assert [row[:-1] for row in scored] == given
    expected = models["people"].predict(frame[["age", "port", "alone"]])
    assert [row[-1] for row in scored] == ["y_pred", *expected]


def test_a_value_that_does_not_fit_is_found_in_the_file(page: Page, folder: Path) -> None:
    rows = [f"{age},Cherbourg,true" for age in range(3000)]
    rows[2500] = "old,Cherbourg,true"
    path = folder / "wrong.csv"
    path.write_text("\n".join(["age,port,alone", *rows]), encoding="utf-8")
    page.open("people").find("#file").send_keys(str(path))
    page.wait_for_text("#file-error", "Row 2,501 of the file, column age: must be a number")
    path.write_text("age,harbour\n1,2\n", encoding="utf-8")
    page.find("#file").send_keys(str(path))
    page.wait_for_text("#file-error", "'port' is missing")
    path.write_text("age,port,alone\n1,2\n", encoding="utf-8")
    page.find("#file").send_keys(str(path))
    page.wait_for_text("#file-error", "Row 1 of the file has 2 cells, and the first line has 3.")


def test_records_are_found_wherever_the_stream_is_cut(page: Page) -> None:
    text = 'a,"b ""c"", \r\n""","5"" x"\r\n\r\nd"e,,\n"",1,2'
    page.open("iris").find("#field-0")
    assert page.run_module("csv.js", f"module.cellsOf({literal(text)})") == [
        line for line in csv.reader(io.StringIO(text, newline="")) if line
    ]
    in_pieces = (
        f"((reader) => [...[...{literal(text)}].flatMap((char) => reader.push(char)), ...reader.finish()]"
        ".map((record) => record.map(module.unquoted)))(new module.RecordReader())"
    )
    assert page.run_module("csv.js", in_pieces) == page.run_module("csv.js", f"module.cellsOf({literal(text)})")


def test_the_chart_moves_with_the_requests_of_all_workers(page: Page, service: Server) -> None:
    page.open("m")
    page.wait_for_text("#traffic-counts", "Since the start")
    with Load(service.port, lambda client: client.predict([[1.0, 2.0]], "/models/m/predict").status) as load:
        page.wait(
            lambda: page.run("return document.querySelector('#chart-rate .line.requests')?.getAttribute('d')"),
            "a line is drawn",
        )
        page.wait(lambda: re.search("[1-9]", page.text("#chart-rate .requests b")), "requests per second are told")
    assert load.faults == []
    page.wait(lambda: "ms" in page.text("#chart-latency .p99 b"), "the latency is told")

    def counted() -> int:
        (told,) = re.findall(r"answered ([\d,]+) requests", page.text("#traffic-counts"))
        return int(told.replace(",", ""))

    # The page itself has asked a few more.
    page.wait(lambda: len(load.answers) <= counted() <= len(load.answers) + 5, "all requests are counted")


def test_the_chart_tells_rates_and_quantiles_between_two_looks(page: Page) -> None:
    def stats(at: float, statuses: dict[str, int], seconds: float, counts: list[int]) -> dict[str, Any]:
        bounds = ["0.001", "0.01", "+Inf"]
        buckets = [{"le": le, "count": count} for le, count in zip(bounds, counts, strict=True)]
        return {"at": at, "requests": {"statuses": statuses, "seconds": seconds, "buckets": buckets}}

    def between(before: dict[str, Any], after: dict[str, Any]) -> Any:
        return page.run_module("chart.js", f"module.difference({literal(before)}, {literal(after)})")

    page.open("iris").find("#field-0")
    first = stats(10.0, {"200": 5}, 1.0, [1, 3, 5])
    second = stats(12.0, {"200": 11, "422": 2}, 1.4, [3, 9, 13])
    assert between(first, second) == {
        "at": 12.0,
        "requests": 4.0,
        "errors": 1.0,
        "mean": pytest.approx(0.05),
        "p50": pytest.approx(0.001 + 0.009 * 2 / 4),
        "p99": pytest.approx(0.01),
    }
    assert between(second, first | {"at": 14.0}) is None, "the service was started anew"
    assert between(first, first | {"at": 12.0})["p50"] is None, "nothing was answered"


def test_it_can_be_used_without_a_mouse(page: Page) -> None:
    page.open("iris").find("#field-3")
    focused = lambda: page.run("return document.activeElement.id")  # noqa: E731
    for _ in range(60):
        if focused() == "field-0":
            break
        page.press(Keys.TAB)
    for value in ("6.7", "3.0", "5.2", "2.3"):
        assert focused().startswith("field-")
        assert page.run("return document.activeElement.matches(':focus-visible')")
        page.press(Keys.CONTROL, "a", Keys.NULL, value, Keys.TAB)
        while focused() not in ("field-1", "field-2", "field-3") and value != "2.3":
            page.press(Keys.TAB)
    page.wait_for_text("#answer", "virginica")
    assert page.find("#answer").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("name", ["iris", "people", "hostile", "texts", "digits", "m"])
def test_a_phone_need_not_scroll_sideways(page: Page, name: str) -> None:
    page.resize(390, 800)
    page.open(name)
    page.wait_for_text("h1", name)
    page.wait_for_text("#traffic-counts", "Since")
    assert page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.fixture(scope="module")
def keyed(folder: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """A service with keys, on a store of its own, since versions are promoted there; and the keys."""
    store, keys = folder / "keyed", folder / "keys.json"
    save_constant(store, 1.0)
    save_constant(store, 2.0)
    save_constant(store, 3.0, promote=False)
    rows = np.arange(12.0).reshape(6, 2)
    estimator = LogisticRegression().fit(rows, [0, 1] * 3)
    save(estimator, rows, "reported", root=store, attachments=lambda _: {"report.html": REPORT})
    made = {"predict": add_key(keys, "bob", ["predict"]), "admin": add_key(keys, "ada", ["predict", "admin"])}
    server = start_gunicorn(store, folder, API_KEYS_FILE=str(keys), DEFAULT_MODEL="m")
    server.wait_for("/readyz")
    yield server, made
    server.stop()


@pytest.fixture
def locked(page: Page, keyed: tuple[Server, dict[str, str]]) -> Page:
    page.url = keyed[0].url
    return page


def give(page: Page, key: str) -> None:
    page.wait(lambda: page.find("#key-value").is_displayed(), "a key is asked for")
    page.write("#key-value", key + Keys.ENTER)


def give_and_settle(page: Page, key: str) -> None:
    """Give a key, and wait for the whole answer: what stands below it moves down as it comes."""
    give(page, key)
    page.wait(lambda: re.search(r"What each input adds|No explanation", page.text("body")), "the answer is explained")


def test_a_key_is_asked_for_and_kept_nowhere(locked: Page, keyed: Any) -> None:
    locked.open("m")
    locked.wait_for_text("#key-why", "asks for an API key")
    give(locked, "a-wrong-one")
    locked.wait_for_text("#key-why", "not known")
    give(locked, keyed[1]["predict"])
    locked.wait_for_text("h1", "m")
    assert keyed[1]["predict"] not in locked.driver.page_source
    assert "Bearer $MAAS_KEY" in locked.text("#curl")
    locked.driver.refresh()
    locked.wait_for_text("#key-why", "asks for an API key")


def test_without_a_key_it_says_what_is_missing(locked: Page) -> None:
    locked.open("m")
    locked.wait_for_text("#key-why", "asks for an API key")
    locked.button("Cancel").click()
    locked.wait_for_text("#failure", "send an API key")
    locked.button("Try again").click()
    locked.wait(lambda: locked.find("#key-value").is_displayed(), "the key is asked for again")


def promoted(keyed: Any) -> int:
    """The version that the service promotes, whichever worker answers."""
    server, keys = keyed
    with server.client() as client:
        number: int = client.get("/models/m", **{"X-API-Key": keys["admin"]}).json["promoted"]
        return number


def test_an_administrator_promotes_and_rolls_back(locked: Page, keyed: Any) -> None:
    locked.open("m")
    give_and_settle(locked, keyed[1]["admin"])
    locked.wait_for_text("#versions tbody tr", "3")
    locked.button("Promote", "#versions tbody tr:first-child").click()
    locked.wait_for_text("#versions-status", "Version 3 is promoted.")
    locked.wait_for_text("#head", "version 3")
    locked.wait_for_text("#model-list [aria-current]", "v3")
    assert promoted(keyed) == 3
    locked.button("Roll back", "#versions").click()
    locked.wait_for_text("#versions-status", "Version 2 is promoted.")
    assert promoted(keyed) == 2
    assert "promoted before" not in locked.text("#versions tbody tr")


def test_a_predicting_key_promotes_nothing(locked: Page, keyed: Any) -> None:
    locked.open("m")
    give_and_settle(locked, keyed[1]["predict"])
    locked.button("Promote", "#versions tbody tr:first-child").click()
    locked.wait_for_text("#versions-status", "does not have the scope 'admin'")


def test_a_report_is_shown_with_its_styles_and_runs_nothing(locked: Page, keyed: Any) -> None:
    locked.open("reported")
    give_and_settle(locked, keyed[1]["admin"])
    locked.button("Report", "#versions").click()
    driver = locked.driver
    driver.switch_to.frame(locked.find("#report iframe"))
    driver.switch_to.frame(locked.find("iframe"))
    try:
        assert locked.find("h1").text == "What it learnt"
        assert locked.find("h1").value_of_css_property("color") in ("rgb(1, 2, 3)", "rgba(1, 2, 3, 1)")
        assert locked.find("img").get_property("naturalWidth") == 1
    finally:
        driver.switch_to.default_content()
    assert [line for line in locked.complaints() if "Blocked script execution" not in line] == []
    locked.button("Close", "#report").click()
    assert locked.all("#report iframe") == []


def test_behind_nginx_it_is_the_same(locked: Page, keyed: Any, folder: Path) -> None:
    need("nginx")
    proxy = start_nginx(folder, f"127.0.0.1:{keyed[0].port}")
    try:
        locked.url = proxy.url
        locked.open("reported")
        give_and_settle(locked, keyed[1]["admin"])
        locked.wait_for_text("#answer-note", "Version 1")
        locked.wait_for_text("#traffic-counts", "Since")
        locked.button("Report", "#versions").click()
        locked.driver.switch_to.frame(locked.find("#report iframe"))
        locked.driver.switch_to.frame(locked.find("iframe"))
        assert locked.find("h1").text == "What it learnt"
        locked.driver.switch_to.default_content()
    finally:
        proxy.stop()


def test_the_description_can_be_tried(page: Page) -> None:
    page.driver.get(f"{page.url}/docs")
    page.find(".opblock-post .opblock-summary-control").click()
    page.button("Execute", ".opblock-post").click()
    page.wait_for_text(".live-responses-table tbody .response-col_status", "200")
    assert "x-model-name: iris" in page.text(".live-responses-table")


def test_one_models_description_is_shown_with_a_key_that_is_kept_nowhere(locked: Page, keyed: Any) -> None:
    locked.driver.get(f"{locked.url}/docs?model=m")
    locked.wait_for_text("#note", "send an API key")
    locked.write("#key", keyed[1]["predict"] + Keys.ENTER)
    locked.wait(lambda: "/models/m/versions/2/predict" in locked.text("#description"), "its versions are described")
    locked.find(".opblock-post .opblock-summary-control").click()
    locked.button("Execute", ".opblock-post").click()
    locked.wait_for_text(".live-responses-table tbody .response-col_status", "200")
