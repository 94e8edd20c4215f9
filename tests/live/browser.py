"""Chromium without a window, and the few things that a person does in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from processes import need, wait_until
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root's Chromium starts no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
T = TypeVar("T")


@contextmanager
def chromium(profile: Path, downloads: Path) -> Iterator[Chrome]:
    """Run a browser with a profile of its own; files that it downloads are put into `downloads`."""
    need("chromium")
    need("chromedriver")
    options = ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()


class _Waited:
    """What was waited for, and what the page shows at the end; it is looked at only where the wait was in vain."""

    def __init__(self, what: str, page: Page) -> None:
        self._what = what
        self._page = page

    def __str__(self) -> str:
        return f"{self._what}; the page shows:\n{self._page.text('body')}"


class Page:
    """The console of one service in a browser."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, name: str = "") -> Page:
        """Load the page anew, at a model's address."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}/#/{name}" if name else self.url)
        return self

    def resize(self, width: int, height: int = 900) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def find(self, css: str) -> WebElement:
        """Return the first such element, once there is one."""
        return self.wait(lambda: self.all(css), f"there is {css}")[0]

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        found = self.all(css)
        return found[0].text if found else ""

    def texts(self, css: str) -> list[str]:
        return [element.text for element in self.all(css)]

    def wait(self, condition: Callable[[], T], what: str) -> T:
        def patiently() -> T | None:
            try:
                return condition()
            except StaleElementReferenceException:  # it was drawn anew in between
                return None

        return wait_until(patiently, _Waited(what, self))  # type: ignore[return-value]

    def wait_for_text(self, css: str, expected: str) -> None:
        self.wait(lambda: expected in self.text(css), f"{css} shows {expected!r}")

    def button(self, name: str, within: str = "body") -> WebElement:
        """Return the button of that name, once it is shown."""

        def named() -> WebElement | None:
            buttons = self.all(f"{within} button")
            return next((button for button in buttons if button.is_displayed() and button.text == name), None)

        found = self.wait(named, f"there is a button {name!r} in {within}")
        assert found is not None
        return found

    def write(self, css: str, text: str) -> None:
        """Replace what a box holds."""
        self.find(css).send_keys(Keys.CONTROL, "a")
        self.find(css).send_keys(text or Keys.DELETE)

    def choose(self, css: str, text: str) -> None:
        Select(self.find(css)).select_by_visible_text(text)

    def tick(self, css: str) -> None:
        self.find(css).click()

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def draw(self, css: str, *strokes: list[tuple[float, float]]) -> None:
        """Draw with the mouse; points are shares of the element's sides."""
        canvas = self.find(css)
        self.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
        box = self.run("return arguments[0].getBoundingClientRect().toJSON()", canvas)
        for stroke in strokes:
            points = [(int(box["x"] + x * box["width"]), int(box["y"] + y * box["height"])) for x, y in stroke]
            chain = ActionChains(self.driver, duration=5)
            pointer = chain.w3c_actions.pointer_action
            pointer.move_to_location(*points[0])
            pointer.pointer_down()
            for point in points[1:]:
                pointer.move_to_location(*point)
            pointer.pointer_up()
            chain.perform()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)  # type: ignore[no-untyped-call]

    def run_module(self, file: str, expression: str) -> Any:
        """Return what an expression makes of `module`, one of the console's."""
        script = f"const done = arguments[0]; import('/console/{file}').then((module) => done({expression}))"
        return self.driver.execute_async_script(script)  # type: ignore[no-untyped-call]

    def kept(self) -> dict[str, Any]:
        """What the page has left in the browser."""
        return self.run(  # type: ignore[no-any-return]
            "return {local: localStorage.length, session: sessionStorage.length, cookies: document.cookie}"
        )

    def complaints(self) -> list[str]:
        """What the browser complains of; that a request was refused is no complaint but an answer."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["source"] != "network"]

    def downloaded(self, folder: Path, name: str) -> str:
        """Return a file's text once it is downloaded."""
        path = folder / name
        self.wait(path.exists, f"{name} is downloaded")
        return path.read_text(encoding="utf-8")

    def answer(self) -> str:
        return self.text("#answer")

    def bars(self, within: str) -> dict[str, str]:
        """What bars are drawn, by name."""
        rows = self.run(
            "return [...document.querySelectorAll(arguments[0] + ' li')].map("
            "(row) => [row.querySelector('.name').textContent, row.querySelector('.value').textContent])",
            within,
        )
        return dict(rows)


def literal(value: Any) -> str:
    """A value as JavaScript."""
    return json.dumps(value)
