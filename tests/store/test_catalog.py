"""Names, versions, and which of them are promoted."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.dummy import DummyRegressor

from app.errors import StoreError
from app.store import ModelStore, Saved, Serving, Shadow, disk, save
from tests.store.helpers import ROWS, names_in

Publish = Callable[..., Saved]


def test_an_empty_store_has_no_models_and_no_promoted_version(catalog: ModelStore) -> None:
    assert catalog.names() == []
    assert catalog.versions("m") == []
    assert catalog.serving("m") == Serving()


def test_versions_count_from_one_and_the_promoted_one_is_remembered(catalog: ModelStore, publish: Publish) -> None:
    assert [publish().version, publish(promote=False).version, publish().version] == [1, 2, 3]
    assert catalog.versions("m") == [1, 2, 3]
    assert catalog.serving("m").promoted == 3
    assert catalog.serving("m").history == (1, 3)


@pytest.mark.parametrize("name", ["", "Iris", "../etc", ".hidden", "a" * 65, "a/b", "a\n", "é"])
def test_a_name_that_leads_elsewhere_is_refused(catalog: ModelStore, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be a model's name"):
        catalog.folder(name)


def test_promoting_what_is_not_there_names_what_is(catalog: ModelStore, publish: Publish) -> None:
    publish()
    with pytest.raises(StoreError, match="has no version 7; it has 1"):
        catalog.promote("m", 7)
    with pytest.raises(StoreError, match="there is no model 'n'; there are m"):
        catalog.promote("n", 1)


def test_promoting_the_promoted_version_again_changes_nothing(catalog: ModelStore, publish: Publish) -> None:
    publish()
    before = catalog.serving("m")
    assert catalog.promote("m", 1) == before


def test_a_rollback_goes_one_step_back_each_time(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(3):
        publish()
    catalog.promote("m", 1)
    assert catalog.serving("m").history == (1, 2, 3, 1)
    assert [catalog.rollback("m").promoted for _ in range(3)] == [3, 2, 1]
    with pytest.raises(StoreError, match="no earlier promoted version"):
        catalog.rollback("m")


def test_a_rollback_passes_over_versions_that_are_gone(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(3):
        publish()
    disk.remove_folder(catalog.root / "m" / "2")
    serving = catalog.rollback("m")
    assert (serving.promoted, serving.history) == (1, (1,))


def test_served_are_the_promoted_the_labelled_and_the_one_before(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(4):
        publish()
    assert catalog.label("m", 1, "champion").served == (4, 1, 3)
    assert catalog.unlabel("m", "champion").served == (4, 3)
    with pytest.raises(StoreError, match="no label 'champion'; it has none"):
        catalog.unlabel("m", "champion")


def test_split_and_shadow_are_kept_and_served(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(5):
        publish()
    catalog.split("m", {2: 0.1, 1: 0.25}, sticky="X-User")
    catalog.shadow("m", Shadow(3, 0.5))
    serving = ModelStore(catalog.root).serving("m")
    assert (serving.split, serving.sticky, serving.shadow) == ({2: 0.1, 1: 0.25}, "X-User", Shadow(3, 0.5))
    assert serving.served == (5, 2, 1, 3, 4)
    assert serving.roles(2) == ["10% of the split"]
    assert serving.roles(3) == ["shadow of 50%"]
    assert catalog.shadow("m", None).shadow is None
    assert catalog.split("m", {}).served == (5, 4)


def test_a_serving_file_of_before_there_were_splits_is_read(catalog: ModelStore, publish: Publish) -> None:
    publish()
    older = b'{"promoted": 1, "history": [1], "labels": {}, "split": {}, "shadow": null, "latest": 1}'
    for content in (older, b'{"promoted": 1, "history": [1]}'):
        (catalog.root / "m" / "serving.json").write_bytes(content)
        assert catalog.serving("m").split == {}
        assert catalog.serving("m").sticky == "X-Session-Id"
        assert catalog.serving("m").shadow is None


def test_what_is_promoted_leaves_the_split_and_the_shadow(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(3):
        publish()
    catalog.split("m", {1: 0.1, 2: 0.2})
    catalog.shadow("m", Shadow(2))
    serving = catalog.promote("m", 1)
    assert (serving.split, serving.shadow) == ({2: 0.2}, Shadow(2))
    catalog.split("m", {2: 0.2, 3: 0.1})
    # A version that is saved and promoted meanwhile leaves the others their shares.
    publish()
    assert catalog.serving("m").split == {2: 0.2, 3: 0.1}
    catalog.rollback("m")
    serving = catalog.rollback("m")
    assert (serving.promoted, serving.split, serving.shadow) == (3, {2: 0.2}, Shadow(2))
    serving = catalog.rollback("m")
    assert (serving.promoted, serving.split, serving.shadow) == (2, {}, None)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({9: 0.1}, "has no version 9; it has 1, 2, 3"),
        ({3: 0.1}, "version 3 is promoted and answers already; name other versions"),
        ({1: 0.0}, "the share of version 1 must be above 0% and at most 100%, not 0%"),
        ({1: float("nan")}, "the share of version 1 must be above 0%"),
        ({1: 1.5}, "at most 100%, not 150%"),
        ({1: 0.6, 2: 0.5}, "the shares add up to 110%"),
    ],
)
def test_a_split_that_cannot_be_is_refused(
    catalog: ModelStore, publish: Publish, split: dict[int, float], told: str
) -> None:
    for _ in range(3):
        publish()
    with pytest.raises(StoreError, match=told):
        catalog.split("m", split)
    with pytest.raises(StoreError, match="'X Y' cannot be a header's name"):
        catalog.split("m", {1: 0.1}, sticky="X Y")
    with pytest.raises(StoreError, match="version 3 is promoted"):
        catalog.shadow("m", Shadow(3))


def test_without_a_promoted_version_there_is_nothing_to_split(catalog: ModelStore, publish: Publish) -> None:
    publish(promote=False)
    with pytest.raises(StoreError, match="no version is promoted"):
        catalog.split("m", {1: 0.1})


def test_a_version_with_traffic_is_neither_pruned_nor_removed(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(5):
        publish()
    catalog.split("m", {1: 0.1})
    catalog.shadow("m", Shadow(2))
    assert catalog.prune("m", 0) == [3]
    for version, role in ((1, "10% of the split"), (2, "shadow of 100%")):
        with pytest.raises(StoreError, match=rf"version {version} is served \({role}\)"):
            catalog.remove("m", version)


def test_pruning_keeps_the_newest_and_what_is_served(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(6):
        publish()
    catalog.promote("m", 3)
    catalog.label("m", 1, "first")
    assert catalog.prune("m", 1) == [2, 4, 5]
    assert catalog.versions("m") == [1, 3, 6]
    assert catalog.serving("m").history == (1, 3, 6, 3)
    assert catalog.prune("m", 0) == []


def test_a_version_never_follows_itself_in_the_history() -> None:
    serving = Serving(promoted=2, history=(2, 3, 2, 4, 2), latest=4)
    assert serving.without([3, 4]).history == (2,)


def test_a_served_version_is_not_removed(catalog: ModelStore, publish: Publish) -> None:
    for _ in range(3):
        publish()
    with pytest.raises(StoreError, match="version 2 is served"):
        catalog.remove("m", 2)
    assert catalog.remove("m", 1) == [1]
    assert catalog.versions("m") == [2, 3]


def test_a_removed_model_is_gone_and_its_numbers_never_come_again(catalog: ModelStore, publish: Publish) -> None:
    publish()
    publish()
    assert catalog.remove("m") == [1, 2]
    assert catalog.names() == []
    with pytest.raises(StoreError, match="there is no model"):
        catalog.promote("m", 1)
    assert publish().version == 3
    assert catalog.serving("m").history == (3,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"promoted": "1", "history": []}',
        b'{"promoted": 1, "history": 3}',
        b'{"promoted":',
        b'{"promoted": 1, "history": [], "split": {"x": 1}}',
    ],
)
def test_a_damaged_serving_file_is_told_and_mended_by_promoting(
    catalog: ModelStore, publish: Publish, content: bytes
) -> None:
    publish()
    (catalog.root / "m" / "serving.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged.*promote a version again"):
        catalog.serving("m")
    assert catalog.promote("m", 1).promoted == 1
    assert catalog.serving("m").promoted == 1


def test_nothing_is_deleted_or_forgotten_on_the_word_of_a_damaged_serving_file(
    catalog: ModelStore, publish: Publish
) -> None:
    publish()
    publish(promote=False)
    (catalog.root / "m" / "serving.json").write_bytes(b"{")
    for change in (
        lambda: catalog.prune("m", 1),
        lambda: catalog.remove("m", 1),
        lambda: catalog.rollback("m"),
        lambda: catalog.label("m", 1, "stable"),
    ):
        with pytest.raises(StoreError, match="is damaged"):
            change()
    assert publish(promote=False).version == 3
    assert (catalog.root / "m" / "serving.json").read_bytes() == b"{"
    assert catalog.versions("m") == [1, 2, 3]


def test_a_reader_sees_only_whole_versions_during_promotions(catalog: ModelStore, publish: Publish) -> None:
    """While versions are saved and promoted, whatever is promoted is there, whole."""
    publish(1.0)
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_save_many, args=(catalog.root, 20))
    writer.start()
    seen = set()
    while writer.is_alive():
        for name in catalog.names():
            promoted = catalog.promoted(name)
            assert promoted is not None
            manifest = catalog.manifest(name, promoted)
            assert manifest.version == promoted
            for path, entry in manifest.files.items():
                assert (catalog.path(name, promoted) / path).stat().st_size == entry.bytes
            seen.add(promoted)
    writer.join()
    assert writer.exitcode == 0
    assert catalog.promoted("m") == 21
    assert len(seen) > 1


def test_two_processes_saving_at_once_get_versions_of_their_own(catalog: ModelStore) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_save_many, args=(catalog.root, 5)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert catalog.versions("m") == list(range(1, 11))
    assert catalog.serving("m").history == tuple(range(1, 11))
    assert [name for name in names_in(catalog.root / "m") if name.startswith(".")] == [".lock"]


def _save_many(root: Path, count: int) -> None:
    for constant in range(count):
        estimator = DummyRegressor(strategy="constant", constant=float(constant)).fit(ROWS, ROWS[:, 0])
        save(estimator, ROWS, "m", root=root)
