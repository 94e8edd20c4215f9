"""What answers now: swaps, refusals, rollbacks and the limit on what is loaded."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import NotFound, NotServed, Unavailable
from app.store import LiveModels, ModelStore, Saved, following
from tests.store.helpers import ROWS, Recorder, break_version, pretend_other_sklearn

Publish = Callable[..., Saved]
LiveOf = Callable[..., LiveModels]
WAIT = 10.0


def answer(live: LiveModels, name: str | None = None, version: int | None = None) -> float:
    return float(live.get(name, version, WAIT).estimator.predict(ROWS)[0])


def loaded(live: LiveModels) -> list[tuple[str, int]]:
    """The versions that are in memory."""
    return sorted(live._follower.view.loaded)


@pytest.fixture
def watched(live_of: LiveOf) -> Callable[..., LiveModels]:
    """Make live models with a watcher of their own, for what is loaded on demand."""

    def make(**options: object) -> LiveModels:
        live = live_of(**options)
        live.refresh()
        live.start()
        return live

    return make


def test_without_a_model_nothing_answers_and_it_is_said_what_to_do(live_of: LiveOf) -> None:
    live = live_of()
    live.refresh()
    assert not live.ready
    with pytest.raises(Unavailable, match=r"no model yet; train one with .*train\.py"):
        live.get(None, None, WAIT)


def test_before_the_first_look_a_request_waits_in_vain_no_longer_than_it_may(live_of: LiveOf) -> None:
    with pytest.raises(Unavailable):
        live_of().get(None, None, 0.01)


def test_a_promoted_version_takes_over_and_the_one_before_goes_on_answering_under_its_number(
    live_of: LiveOf, publish: Publish, recorder: Recorder
) -> None:
    live = live_of()
    publish(1.0)
    live.refresh()
    held = live.get("m", None, WAIT)
    publish(2.0)
    live.refresh()
    assert (answer(live), answer(live, "m", 1), answer(live, "m", 2)) == (2.0, 1.0, 2.0)
    assert held.estimator.predict(ROWS)[0] == 1.0
    assert recorder.events == [("loaded", "m", 1), ("serving", "m", 1), ("loaded", "m", 2), ("serving", "m", 2)]


def test_what_has_not_changed_is_not_loaded_again(live_of: LiveOf, publish: Publish, recorder: Recorder) -> None:
    live = live_of()
    publish()
    for _ in range(3):
        live.refresh()
    assert recorder.events == [("loaded", "m", 1), ("serving", "m", 1)]


def test_a_rollback_needs_no_loading(
    live_of: LiveOf, publish: Publish, catalog: ModelStore, recorder: Recorder
) -> None:
    live = live_of()
    publish(1.0)
    live.refresh()
    publish(2.0)
    live.refresh()
    recorder.events.clear()
    catalog.rollback("m")
    live.refresh()
    assert answer(live) == 1.0
    assert recorder.events == [("serving", "m", 1)]


def test_a_broken_version_is_refused_and_the_old_one_stays(
    live_of: LiveOf, publish: Publish, recorder: Recorder
) -> None:
    live = live_of()
    publish(1.0)
    live.refresh()
    break_version(publish(2.0))
    live.refresh()
    live.refresh()
    assert answer(live) == 1.0
    assert recorder.events.count(("refused", "m", 2)) == 1
    with pytest.raises(Unavailable, match=r"version 2 cannot be served: model\.joblib is not the file"):
        live.get("m", 2, WAIT)
    publish(3.0)
    live.refresh()
    assert answer(live) == 3.0


def test_a_worker_that_starts_with_a_broken_promoted_version_serves_the_one_before(
    live_of: LiveOf, publish: Publish, recorder: Recorder
) -> None:
    publish(1.0)
    publish(2.0)
    break_version(publish(3.0))
    live = live_of()
    live.refresh()
    assert answer(live) == 2.0
    assert answer(live, "m", 2) == 2.0
    assert live.manifest("m").version == 2
    assert ("refused", "m", 3) in recorder.events


def test_where_every_version_is_broken_requests_are_told_why_at_once(live_of: LiveOf, publish: Publish) -> None:
    break_version(publish())
    live = live_of()
    live.refresh()
    assert not live.ready
    with pytest.raises(Unavailable, match=r"m version 1 cannot be served: model\.joblib"):
        live.get("m", None, WAIT)


def test_another_scikit_learn_is_refused_unless_it_is_allowed(live_of: LiveOf, publish: Publish) -> None:
    pretend_other_sklearn(publish(4.0))
    strict, lenient = live_of(), live_of(allow_mismatch=True)
    strict.refresh()
    lenient.refresh()
    assert not strict.ready
    assert answer(lenient) == 4.0


def test_a_removed_model_goes_away_and_its_name_can_come_again(
    live_of: LiveOf, publish: Publish, catalog: ModelStore, recorder: Recorder
) -> None:
    live = live_of()
    publish(1.0)
    publish(2.0, name="other")
    live.refresh()
    catalog.remove("m")
    live.refresh()
    assert live.names() == ["other"]
    assert ("gone", "m") in recorder.events
    with pytest.raises(NotFound, match="there is no model 'm'; there are other"):
        live.get("m", None, WAIT)
    publish(3.0)
    live.refresh()
    assert answer(live, "m") == 3.0


def test_a_store_in_the_place_of_another_is_noticed_though_its_numbers_are_the_same(
    live_of: LiveOf, publish: Publish, root: Path
) -> None:
    live = live_of()
    publish(1.0)
    live.refresh()
    shutil.rmtree(root)
    publish(2.0)
    live.refresh()
    assert answer(live) == 2.0
    assert answer(live, "m", 1) == 2.0


def test_a_store_that_is_away_for_a_while_takes_nothing_with_it(live_of: LiveOf, publish: Publish, root: Path) -> None:
    live = live_of()
    publish(1.0)
    live.refresh()
    root.rename(root.with_name("away"))
    live.refresh()
    assert answer(live) == 1.0
    root.with_name("away").rename(root)
    publish(2.0)
    live.refresh()
    assert answer(live) == 2.0


def test_what_failed_for_a_reason_that_may_pass_is_tried_again(
    live_of: LiveOf,
    publish: Publish,
    root: Path,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    wait_for: Callable[..., None],
) -> None:
    live = live_of()
    publish(1.0)
    live.refresh()
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.05)
    away = publish(2.0).path
    away.rename(root / "away")
    live.refresh()
    assert answer(live) == 1.0
    assert ("refused", "m", 2) in recorder.events
    (root / "away").rename(away)

    def is_back() -> bool:
        live.refresh()
        return answer(live) == 2.0

    wait_for(is_back)


def test_a_damaged_serving_file_leaves_what_is_served(live_of: LiveOf, publish: Publish, root: Path) -> None:
    live = live_of()
    publish(1.0)
    live.refresh()
    (root / "m" / "serving.json").write_bytes(b"{")
    live.refresh()
    assert answer(live) == 1.0
    publish(2.0)
    live.refresh()
    assert answer(live) == 2.0


def test_a_version_that_is_not_served_says_how_to_serve_it(live_of: LiveOf, publish: Publish) -> None:
    publish(1.0)
    publish(2.0, promote=False)
    live = live_of()
    live.refresh()
    with pytest.raises(NotServed, match="label m 2 LABEL"):
        live.get("m", 2, WAIT)
    with pytest.raises(NotFound, match="has no version 9; served are 1"):
        live.get("m", 9, WAIT)


def test_a_labelled_version_is_loaded_when_it_is_asked_for(
    watched: LiveOf, publish: Publish, catalog: ModelStore
) -> None:
    publish(1.0)
    publish(2.0, promote=False)
    catalog.label("m", 2, "next")
    live = watched()
    assert loaded(live) == [("m", 1)]
    assert answer(live, "m", 2) == 2.0
    assert loaded(live) == [("m", 1), ("m", 2)]
    live.stop()


def test_beyond_the_limit_the_least_recently_used_goes_and_the_default_never(watched: LiveOf, publish: Publish) -> None:
    for index, name in enumerate(["default", "a", "b", "c"]):
        publish(float(index), name=name)
    live = watched(max_loaded=2)
    assert ("default", 1) in loaded(live)
    for name, expected in [("a", 1.0), ("b", 2.0), ("c", 3.0), ("a", 1.0)]:
        assert answer(live, name) == expected
        assert loaded(live) == [(name, 1), ("default", 1)]
    assert answer(live) == 0.0
    live.stop()


def test_with_room_for_one_the_default_stays_and_swaps_and_others_still_answer(
    watched: LiveOf, publish: Publish, wait_for: Callable[..., None]
) -> None:
    publish(1.0, name="default")
    publish(5.0, name="other")
    live = watched(max_loaded=1)
    assert answer(live, "other") == 5.0
    assert loaded(live) == [("default", 1)]
    publish(2.0, name="default")
    wait_for(lambda: answer(live) == 2.0)
    assert loaded(live) == [("default", 2)]
    live.stop()


def test_the_default_is_the_one_that_is_set_else_the_only_one_else_default(live_of: LiveOf, publish: Publish) -> None:
    publish(1.0, name="a")
    chosen, left_open = live_of(default="b"), live_of()
    left_open.refresh()
    assert left_open.default_name() == "a"
    publish(2.0, name="b")
    chosen.refresh()
    left_open.refresh()
    assert chosen.default_name() == "b"
    with pytest.raises(NotFound, match="one of a, b, or set DEFAULT_MODEL"):
        left_open.default_name()
    publish(3.0, name="default")
    left_open.refresh()
    assert left_open.default_name() == "default"


def test_requests_never_fail_while_models_are_promoted_and_unloaded(watched: LiveOf, publish: Publish) -> None:
    """Readers loop while versions are promoted in a store with too little room; every answer is a whole version's."""
    publish(1.0, name="a")
    publish(1.0, name="b")
    live = watched(max_loaded=1, default="a")
    done = threading.Event()

    def read(name: str) -> set[float]:
        seen = set()
        while not done.is_set():
            model = live.get(name, None, WAIT)
            constant = float(model.estimator.predict(ROWS)[0])
            assert constant == model.version
            seen.add(constant)
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, name) for name in ("a", "b", "a", "b")]
        for version in range(2, 12):
            publish(float(version), name="a")
            publish(float(version), name="b")
        live.get("a", None, WAIT)
        done.set()
        seen = [reader.result() for reader in readers]
    assert all(len(constants) >= 1 for constants in seen)
    live.stop()


def test_requests_for_a_model_that_is_removed_meanwhile_are_told_so(
    watched: LiveOf, publish: Publish, catalog: ModelStore
) -> None:
    publish(1.0, name="stays")
    live = watched(max_loaded=1, default="stays")
    done = threading.Event()

    def read() -> int:
        told = 0
        while not done.is_set():
            try:
                live.get("goes", 1 if told % 2 else None, WAIT)
            except (NotFound, NotServed, Unavailable):
                told += 1
        return told

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for _ in range(5):
            publish(2.0, name="goes")
            live.get("stays", None, WAIT)
            catalog.remove("goes")
        done.set()
        assert all(reader.result() > 0 for reader in readers)
    live.stop()
