"""Contents of prediction files: labels only, or the points of the scan with two further fields."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from elite.datasets.described.id_files import read_ids
from elite.datasets.scan_files import read_fields
from elite.errors import DataError
from elite.point_files import ANSWER_FIELDS, PointFields, encode_points, read_point_file
from elite.segmentation_result import SegmentationResult
from elite.sensor import SensorSpec
from elite.shapes import Shaped, UInt8
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import Scan

PredictionFormat = Literal["label", "npy", "pcd", "ply"]
FORMATS = get_args(PredictionFormat)
NO_ANSWER = 255  # class_id of points without an answer
_FOUR_BYTES, _CLOUDS = (".label", ".confidence"), (".pcd", ".ply")


def encode_prediction(
    suffix: str, result: SegmentationResult, scan: Scan, scan_path: Path, sensor: SensorSpec, taxonomy: Taxonomy
) -> bytes:
    """Return the contents of a prediction file, in the order and length of the scan's file.

    Args:
        suffix: .label = raw ids (uint32); .npy = raw ids (uint16), in rows and columns for an organised cloud; .pcd and
            .ply = all fields of the scan, and ``answer_fields``.
        result: prediction of the points of ``scan``.
        scan: points of the file that are measured ones.
        scan_path: file of the scan, which is read again for the fields.
        sensor: names the columns of files that do not name them.
        taxonomy: classes of the labels.

    Raises:
        DataError: the file of the scan is damaged.
    """
    raw = taxonomy.to_raw(scan.spread(result.labels, IGNORE))
    if suffix == ".label":
        return raw.astype("<u4").tobytes()
    fields = read_fields(scan_path, sensor)
    if suffix == ".npy":
        return encode_points(PointFields({"": raw}, fields.shape), suffix)
    values = {name: column for name, column in fields.values.items() if name not in ANSWER_FIELDS}
    return encode_points(PointFields(values | answer_fields(result, scan), fields.shape), suffix)


def answer_fields(result: SegmentationResult, scan: Scan) -> dict[str, Shaped[np.ndarray, "stored"]]:
    """Fields of every point of a cloud, by ``ANSWER_FIELDS``.

    ``class_id`` (uint8) is the train id, ``probability`` (float32) that of the class, ``entropy`` (float32) that of the
    probabilities, 0 to 1. Points without an answer have 255, 0 and 1, so that limits of both numbers exclude them.

    Args:
        result: prediction of the points of ``scan``.
        scan: measured points of the cloud.
    """
    every = result.spread(scan)
    class_id = np.where(every.labels == IGNORE, np.uint8(NO_ANSWER), every.labels)
    columns = class_id, every.confidence.astype(np.float32, copy=False), every.entropy
    return dict(zip(ANSWER_FIELDS, columns, strict=True))


def read_prediction(path: Path, scan_path: Path, points: int, taxonomy: Taxonomy) -> UInt8[np.ndarray, "n"]:
    """Read the train ids of a prediction file of any format; 0 = no answer.

    Args:
        path: its suffix decides on the format.
        scan_path: the scan, for messages.
        points: number of the points of its file.
        taxonomy: classes of the labels.

    Raises:
        DataError: missing, damaged, or of another number of points.
    """
    if path.suffix in _CLOUDS:
        class_id = _read_class_id(path, scan_path, points)
        return np.where(class_id == NO_ANSWER, IGNORE, class_id).astype(np.uint8)
    return taxonomy.to_train(read_ids(path, scan_path, points)[0], source=path)


def is_complete(path: Path, scan_path: Path, points: int) -> bool:
    """Whether a file of predictions or confidences exists, with an answer for each point of the scan."""
    try:
        if path.suffix in _FOUR_BYTES:
            return path.stat().st_size == 4 * points
        (_read_class_id if path.suffix in _CLOUDS else read_ids)(path, scan_path, points)
    except (OSError, DataError):
        return False
    return True


def _read_class_id(path: Path, scan_path: Path, points: int) -> Shaped[np.ndarray, "n"]:
    values = read_point_file(path, ()).values.get("class_id", np.empty(0))
    if len(values) != points:
        raise DataError(
            f"{path}: expected a class_id for each of the {points} points of {scan_path}, found {len(values)}. Predict "
            "the scan again."
        )
    return values
