"""Classes of label files: records of predictions and of generated labels, and their comparison with the data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elite.datasets import SemanticKITTI
from elite.datasets.dense_labels import DenseLabels, write_dense
from elite.errors import ConfigError, DataError, OutputError
from elite.evaluation import saved_predictions
from elite.label_records import FOLDER_RECORD, identity, record_classes, recorded_classes
from elite.layout import Layout
from elite.taxonomy import Taxonomy
from tests.support.semantickitti import KITTI
from tests.support.taxonomies import FIVE

# The ids of FIVE under other names: only a record separates them.
RENAMED = Taxonomy("renamed", tuple(replace(c, name=f"{c.name} 2") for c in FIVE.classes))


def test_record_contains_the_classes_and_is_written_once(tmp_path: Path) -> None:
    record_classes(tmp_path, FIVE)
    assert recorded_classes(tmp_path) == FIVE
    before = (tmp_path / FOLDER_RECORD).stat().st_mtime_ns
    recoloured = Taxonomy("other name", tuple(replace(c, color=None) for c in FIVE.classes))
    record_classes(tmp_path, recoloured)
    assert (tmp_path / FOLDER_RECORD).stat().st_mtime_ns == before
    with pytest.raises(OutputError, match=r"expected labels of the classes of MODEL, renamed, found those of five by"):
        record_classes(tmp_path, RENAMED)


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"taxonomy": 1}', b'{"taxonomy": {"name": "x"}}', b"\xff"])
def test_damaged_record_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FOLDER_RECORD).write_bytes(content)
    with pytest.raises(
        DataError, match=rf"{FOLDER_RECORD}: expected the classes of the labels in its folder, found damage"
    ):
        recorded_classes(tmp_path)


def test_predictions_of_other_classes_are_refused_by_their_record(tmp_path: Path) -> None:
    (tmp_path / "sequences").mkdir()
    saved_predictions(tmp_path, RENAMED)  # of another tool: no record
    record_classes(tmp_path, FIVE)
    saved_predictions(tmp_path, FIVE)
    with pytest.raises(ConfigError, match="expected the classes of the data, renamed, found those of five"):
        saved_predictions(tmp_path, RENAMED)


def test_identity_is_equal_for_equal_names_and_ids(tmp_path: Path) -> None:
    assert identity(KITTI) == identity(Taxonomy("copy", KITTI.classes)) == {}
    assert identity(FIVE) == {"name": "five", "digest": FIVE.digest}
    assert FIVE.digest != RENAMED.digest
    assert FIVE.digest != Taxonomy("five", FIVE.classes[:-1]).digest


@pytest.fixture
def frames(tiny_kitti: Path) -> SemanticKITTI:
    """A scan with an image, dense labels, and lifted labels of the classes FIVE; all ids are 40."""
    layout, ids = Layout(tiny_kitti), np.full((4, 6), 40, np.uint16)
    path = layout.image("08", "000000", "image_2")
    path.parent.mkdir()
    path.touch()
    write_dense(layout, "08", "000000", "image_2_pseudo", semantic=ids, instance=ids)
    path = layout.labels("08", "000000", "labels_pseudo")
    path.parent.mkdir()
    np.full(SemanticKITTI(tiny_kitti, "08", cameras=()).count_points(0), 40, "<u4").tofile(path)
    return SemanticKITTI(tiny_kitti, "08", labels="labels_pseudo", taxonomy=FIVE)


def read_all(frames: SemanticKITTI) -> None:
    dense = DenseLabels(frames, "image_2_pseudo")
    assert (dense.read_classes(0, "image_2", (4, 6)) == 3).all()
    assert (dense.regions(0, "image_2") >> 16 == 3).all()
    labels = frames.labels(0)
    assert labels is not None
    assert (labels.classes == 3).all()


def write_records(frames: SemanticKITTI, settings: dict) -> None:
    for record in (frames.label_record(0), frames.derived(0, "pseudo", "image_2").record):
        record.write_text(json.dumps({"settings": settings}))


@pytest.mark.parametrize("taxonomy", [None, identity(FIVE), "five"])
def test_generated_labels_of_equal_classes_or_without_a_record_are_read(
    frames: SemanticKITTI, taxonomy: dict | str | None
) -> None:
    if taxonomy is not None:
        write_records(frames, {"taxonomy": taxonomy})
    read_all(frames)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"taxonomy": identity(RENAMED)}, "renamed"),
        ({"taxonomy": identity(FIVE) | {"digest": "0"}}, "another version of five"),
        ({"taxonomy": "mine"}, "mine"),
        ({"batch": 16}, "semantickitti"),  # of version 0.1
    ],
)
def test_generated_labels_of_other_classes_are_refused(frames: SemanticKITTI, settings: dict, found: str) -> None:
    write_records(frames, settings)
    dense, message = (
        DenseLabels(frames, "image_2_pseudo"),
        f"expected labels generated for .*five, found those of {found}",
    )
    for read in (
        lambda: dense.read_classes(0, "image_2", (4, 6)),
        lambda: dense.regions(0, "image_2"),
        lambda: frames.labels(0),
        lambda: frames.raw_labels(0),
    ):
        with pytest.raises(DataError, match=message):
            read()
