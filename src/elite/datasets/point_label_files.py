"""Files of point labels in SemanticKITTI's format: those of its layout, and generated ones of any data set."""

import numpy as np

from elite.datasets.base import Dataset
from elite.datasets.formats import read_labels
from elite.label_records import read_provenance, require_generated_classes
from elite.shapes import UInt16


def read_point_labels(dataset: Dataset, i: int) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """Read raw ids and instance ids of all points in the file of a scan.

    Raises:
        DataError: missing, truncated, another number of labels than points, or generated for other classes.
    """
    path = dataset.label_path(i)
    if dataset.selection.labels != "labels":
        require_generated_classes(read_provenance(dataset.label_record(i)), dataset.taxonomy, path)
    return read_labels(path, dataset.scan_path(i), dataset.count_points(i))
