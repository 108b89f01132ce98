"""Classes of SemanticKITTI: names, colours, and their raw and train ids.

*Raw* ids are those of the label files (``car`` 10, ``moving-car`` 252, ...); *train* ids run from 1 to 19, with
0 for everything that is neither trained nor scored. Moving classes map to the static ones.

Source: the SemanticKITTI single-scan benchmark (Behley et al., ICCV 2019).
"""

import numpy as np
from jaxtyping import Integer, UInt8, UInt16, UInt32

from elite.errors import DataError

IGNORE = 0
CLASS_NAMES = (
    "unlabelled",
    "car",
    "bicycle",
    "motorcycle",
    "truck",
    "other-vehicle",
    "person",
    "bicyclist",
    "motorcyclist",
    "road",
    "parking",
    "sidewalk",
    "other-ground",
    "building",
    "fence",
    "vegetation",
    "trunk",
    "terrain",
    "pole",
    "traffic-sign",
)
NUM_CLASSES = len(CLASS_NAMES)
CLASS_ID = {name: index for index, name in enumerate(CLASS_NAMES)}
THINGS = range(1, 9)  # vehicles and people, which have instances

# Raw ids of each train id. Predictions are written with the first one.
_RAW_IDS = (
    (0, 1, 52, 99),
    (10, 252),
    (11,),
    (15,),
    (18, 258),
    (20, 13, 16, 256, 257, 259),
    (30, 254),
    (31, 253),
    (32, 255),
    (40, 60),
    (44,),
    (48,),
    (49,),
    (50,),
    (51,),
    (70,),
    (71,),
    (72,),
    (80,),
    (81,),
)
_UNKNOWN = 255
_TRAIN_OF_RAW = np.full(1 << 16, _UNKNOWN, np.uint8)
for _train_id, _raw_ids in enumerate(_RAW_IDS):
    _TRAIN_OF_RAW[list(_raw_ids)] = _train_id
_RAW_OF_TRAIN = np.array([ids[0] for ids in _RAW_IDS], np.uint16)

# RGB of the benchmark's viewer.
COLORS: UInt8[np.ndarray, "20 3"] = np.array(
    [
        (0, 0, 0),
        (100, 150, 245),
        (100, 230, 245),
        (30, 60, 150),
        (80, 30, 180),
        (0, 0, 255),
        (255, 30, 30),
        (255, 40, 200),
        (150, 30, 90),
        (255, 0, 255),
        (255, 150, 255),
        (75, 0, 75),
        (175, 0, 75),
        (255, 200, 0),
        (255, 120, 50),
        (0, 175, 0),
        (135, 60, 0),
        (150, 240, 80),
        (255, 240, 150),
        (255, 0, 0),
    ],
    np.uint8,
)

# Alternative for red-green colour blindness, near the usual colours. Any two differ by at least 17 in CIELAB, also in
# simulated colour blindness (tests/test_labels_layout.py); the usual ones by 0.8.
SAFE_COLORS: UInt8[np.ndarray, "20 3"] = np.array(
    [
        (0, 0, 0),
        (83, 150, 184),
        (187, 212, 253),
        (201, 123, 83),
        (112, 117, 229),
        (116, 89, 255),
        (233, 101, 128),
        (255, 2, 165),
        (148, 56, 102),
        (159, 0, 164),
        (192, 160, 255),
        (72, 44, 250),
        (240, 195, 206),
        (255, 160, 0),
        (218, 98, 8),
        (64, 245, 123),
        (146, 64, 59),
        (129, 241, 75),
        (210, 220, 173),
        (183, 0, 0),
    ],
    np.uint8,
)

# Labelled points of each class 1..19 in the training split, from which the published class weights were computed.
POINT_COUNTS = (
    55437630,
    320797,
    541736,
    2578735,
    3274484,
    552662,
    184064,
    78858,
    240942562,
    17294618,
    170599734,
    6369672,
    230413074,
    101130274,
    476491114,
    9833174,
    129609852,
    4506626,
    1168181,
)


def unknown_raw_ids(raw: Integer[np.ndarray, "..."]) -> list[int]:
    """Return the ids that SemanticKITTI does not define, sorted."""
    present = np.flatnonzero(np.bincount(raw.ravel(), minlength=1))
    return [int(i) for i in present if i >= len(_TRAIN_OF_RAW) or _TRAIN_OF_RAW[i] == _UNKNOWN]


def to_train(raw: Integer[np.ndarray, "*shape"], *, source: object = "labels") -> UInt8[np.ndarray, "*shape"]:
    """Convert raw semantic ids to train ids 0..19.

    Args:
        raw: raw ids.
        source: name of the file in error messages.

    Raises:
        DataError: an id that SemanticKITTI does not define.
    """
    out_of_range = raw.size > 0 and int(raw.max()) >= len(_TRAIN_OF_RAW)
    if out_of_range or (_TRAIN_OF_RAW[raw] == _UNKNOWN).any():
        raise DataError(
            f"{source}: expected raw label ids of SemanticKITTI (0, 10, 11, ..., 259), found "
            f"{unknown_raw_ids(raw)[:5]}. Map other classes to them."
        )
    return _TRAIN_OF_RAW[raw]


def to_raw(train: Integer[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
    """Convert train ids 0..19 to raw ids, as the benchmark expects them in prediction files."""
    return _RAW_OF_TRAIN[train]


def split_label(label: UInt32[np.ndarray, "n"]) -> tuple[UInt16[np.ndarray, "n"], UInt16[np.ndarray, "n"]]:
    """Split the words of a label file into raw semantic ids (low 16 bits) and instance ids (high 16 bits)."""
    return (label & 0xFFFF).astype(np.uint16), (label >> 16).astype(np.uint16)


def object_ids(
    train: UInt8[np.ndarray, "*shape"], instance: UInt16[np.ndarray, "*shape"]
) -> UInt32[np.ndarray, "*shape"]:
    """Number the objects: class << 16 | instance, since instance ids are unique within a class only.

    0 = no object (instance 0, or an ignored class).
    """
    ids = (train.astype(np.uint32) << 16) | instance
    ids[(instance == 0) | (train == IGNORE)] = 0
    return ids
