"""Contents of prediction files: labels only, or the points of the scan with two further fields."""

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from elite.datasets.scan_files import read_fields
from elite.point_files import PointFields, encode_points
from elite.sensor import SensorSpec
from elite.taxonomy import IGNORE, Taxonomy
from elite.types import Scan, SegmentationResult

PredictionFormat = Literal["label", "npy", "pcd", "ply"]
FORMATS = get_args(PredictionFormat)
NO_ANSWER = 255  # class_id of points without an answer
_ADDED = ("class_id", "probability")


def encode_prediction(
    suffix: str, result: SegmentationResult, scan: Scan, scan_path: Path, sensor: SensorSpec, taxonomy: Taxonomy
) -> bytes:
    """Return the contents of a prediction file, in the order and length of the scan's file.

    Args:
        suffix: .label = raw ids (uint32); .npy = raw ids (uint16), in rows and columns for an organised cloud; .pcd and
            .ply = all fields of the scan, ``class_id`` (uint8, train id; 255 = no answer) and ``probability`` (float32,
            softmax value of the class; 0 without an answer).
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
    values = {name: column for name, column in fields.values.items() if name not in _ADDED}
    class_id = np.where(result.labels == IGNORE, np.uint8(NO_ANSWER), result.labels)
    values["class_id"] = scan.spread(class_id, NO_ANSWER)
    values["probability"] = scan.spread(result.confidence).astype(np.float32)
    return encode_points(PointFields(values, fields.shape), suffix)
