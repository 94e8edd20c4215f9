"""Who answers requests that name no version: shares, callers who stay, versions that cannot answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.errors import NotFound, Unavailable
from app.store import LiveModels, ModelStore, Saved, Shadow, upkeep
from tests.store.helpers import Recorder, break_version

Publish = Callable[..., Saved]
LiveOf = Callable[..., LiveModels]
TIMES = 10_000


@dataclass
class Somebody:
    headers: dict[str, str] = field(default_factory=dict)
    key: str | None = None
    place: float | None = None

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


def session(number: object, header: str = "x-session-id") -> Somebody:
    return Somebody({header: f"session-{number}"})


def answered_by(live: LiveModels, callers: list[Somebody]) -> Counter[int]:
    return Counter(live.get("m", None, 1.0, caller).version for caller in callers)


@pytest.fixture
def live(live_of: LiveOf, publish: Publish) -> LiveModels:
    """Version 1 is promoted; 2 and 3 are there."""
    publish(1.0)
    publish(2.0, promote=False)
    publish(3.0, promote=False)
    return live_of()


@pytest.mark.parametrize("callers", [[Somebody()] * TIMES, [session(number) for number in range(TIMES)]])
def test_a_split_gives_each_version_its_share(live: LiveModels, catalog: ModelStore, callers: list[Somebody]) -> None:
    catalog.split("m", {2: 0.1, 3: 0.3})
    live.refresh()
    seen = answered_by(live, callers)
    assert seen[1] == pytest.approx(0.6 * TIMES, abs=0.02 * TIMES)
    assert seen[2] == pytest.approx(0.1 * TIMES, abs=0.02 * TIMES)
    assert seen[3] == pytest.approx(0.3 * TIMES, abs=0.02 * TIMES)


def test_the_same_session_stays_on_its_version_in_every_worker(
    live: LiveModels, live_of: LiveOf, catalog: ModelStore
) -> None:
    catalog.split("m", {2: 0.5})
    other = live_of()
    for each in (live, other):
        each.refresh()
    callers = [session(number) for number in range(50)]
    first = [live.get("m", None, 1.0, caller).version for caller in callers]
    assert set(first) == {1, 2}
    for each in (live, other, live):
        assert [each.get("m", None, 1.0, caller).version for caller in callers] == first


def test_a_growing_share_takes_no_caller_away_from_the_canary(live: LiveModels, catalog: ModelStore) -> None:
    callers = [session(number) for number in range(200)]
    before: set[int] = set()
    for share in (0.1, 0.4, 1.0):
        catalog.split("m", {2: share})
        live.refresh()
        on_canary = {index for index, caller in enumerate(callers) if live.get("m", None, 1.0, caller).version == 2}
        assert before < on_canary
        before = on_canary
    assert len(before) == 200


def test_the_key_keeps_a_caller_without_the_header_and_the_header_wins(live: LiveModels, catalog: ModelStore) -> None:
    catalog.split("m", {2: 0.5})
    live.refresh()
    for number in range(20):
        alone = answered_by(live, [Somebody(key=f"key-{number}")] * 20)
        assert len(alone) == 1
    mixed = [Somebody({"x-session-id": f"session-{number}"}, key="one") for number in range(100)]
    assert answered_by(live, mixed) == answered_by(live, [session(number) for number in range(100)])


def test_the_header_is_the_one_that_the_split_names(live: LiveModels, catalog: ModelStore) -> None:
    catalog.split("m", {2: 0.5}, sticky="X-User")
    live.refresh()
    assert len(answered_by(live, [session(1, "x-user")] * 50)) == 1
    assert len(answered_by(live, [session(1, "x-session-id")] * 50)) == 2


def test_by_chance_nobody_is_kept(live: LiveModels, catalog: ModelStore) -> None:
    catalog.split("m", {2: 0.5}, sticky=None)
    live.refresh()
    assert len(answered_by(live, [Somebody({"x-session-id": "one"}, key="one")] * 50)) == 2


def test_who_names_a_version_or_a_label_gets_it(live: LiveModels, catalog: ModelStore) -> None:
    catalog.split("m", {2: 1.0})
    catalog.label("m", 3, "next")
    live.refresh()
    live.start()
    assert live.get("m", 1, 10.0).version == 1
    assert live.get("m", "next", 10.0).version == 3
    assert live.get("m", None, 10.0).version == 2
    live.stop()
    assert live.is_loaded("m", "next")
    with pytest.raises(NotFound, match="model 'm' has no label 'stable'; it has next"):
        live.get("m", "stable", 1.0)


def test_challengers_are_in_memory_before_they_are_asked(
    live: LiveModels, catalog: ModelStore, recorder: Recorder
) -> None:
    catalog.split("m", {2: 0.5})
    catalog.shadow("m", Shadow(3))
    live.refresh()
    assert [event for event in recorder.events if event[0] == "loaded"] == [("loaded", "m", v) for v in (1, 2, 3)]
    assert ("split", "m", 2, 0.5) in recorder.events
    assert recorder.answering == {"m": {1, 2, 3}}


def test_a_version_that_is_refused_leaves_its_share_to_the_promoted_one(
    live_of: LiveOf, publish: Publish, catalog: ModelStore, recorder: Recorder
) -> None:
    publish(1.0)
    break_version(publish(2.0, promote=False))
    publish(3.0, promote=False)
    catalog.split("m", {2: 0.5, 3: 0.5})
    live = live_of()
    live.refresh()
    assert answered_by(live, [session(number) for number in range(200)]).keys() == {1, 3}
    assert ("split", "m", 2, 0.0) in recorder.events
    assert "model.joblib is not the file that was saved" in live.refused("m")[2]


def test_without_room_the_share_stays_with_the_promoted_one_until_there_is_some(
    live_of: LiveOf, publish: Publish, catalog: ModelStore, recorder: Recorder
) -> None:
    publish(1.0)
    publish(2.0, promote=False)
    publish(9.0, name="other")
    catalog.split("m", {2: 1.0})
    live = live_of(default="m", max_loaded=2)
    live.refresh()
    assert answered_by(live, [Somebody()] * 5) == {1: 5}
    catalog.remove("other")
    live.refresh()
    assert answered_by(live, [Somebody()] * 5) == {2: 5}
    assert recorder.events[-2:] == [("loaded", "m", 2), ("split", "m", 2, 1.0)]


def test_a_split_that_ends_leaves_the_promoted_version_alone(
    live: LiveModels, catalog: ModelStore, recorder: Recorder
) -> None:
    catalog.split("m", {2: 1.0})
    live.refresh()
    catalog.split("m", {})
    live.refresh()
    assert answered_by(live, [Somebody()] * 5) == {1: 5}
    assert recorder.events[-1] == ("split", "m", 2, 0.0)
    assert not live.traffic


def test_a_model_that_is_unloaded_and_loaded_again_has_its_split_and_its_history(
    live: LiveModels, catalog: ModelStore
) -> None:
    before = catalog.split("m", {2: 1.0})
    live.refresh()
    catalog.withdraw("m")
    live.refresh()
    with pytest.raises(Unavailable):
        live.get(None, None, 1.0)
    assert not live.traffic
    assert upkeep.load(catalog, "m") == before
    live.refresh()
    assert answered_by(live, [Somebody()] * 10) == {2: 10}


def test_the_shadow_is_asked_its_share_and_never_what_it_answered_itself(live: LiveModels, catalog: ModelStore) -> None:
    catalog.shadow("m", Shadow(3, 0.25))
    live.refresh()
    promoted = live.get("m", None, 1.0)
    asked = [live.traffic["m"].unseen(promoted) for _ in range(TIMES)]
    assert sum(model is not None for model in asked) == pytest.approx(0.25 * TIMES, abs=0.02 * TIMES)
    catalog.label("m", 3, "next")
    live.refresh()
    assert live.traffic["m"].unseen(live.get("m", "next", 1.0)) is None
