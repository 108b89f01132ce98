"""Classes of the SemanticKITTI single-scan benchmark, its learning map as published, and its sensor."""

from elite.sensor import load_sensor
from elite.taxonomy import load_taxonomy

KITTI = load_taxonomy("semantickitti")
HDL_64E = load_sensor("hdl-64e")

RAW_TO_TRAIN = {
    **dict.fromkeys((0, 1, 52, 99), 0),
    **dict.fromkeys((10, 252), 1),
    11: 2,
    15: 3,
    **dict.fromkeys((18, 258), 4),
    **dict.fromkeys((13, 16, 20, 256, 257, 259), 5),
    **dict.fromkeys((30, 254), 6),
    **dict.fromkeys((31, 253), 7),
    **dict.fromkeys((32, 255), 8),
    **dict.fromkeys((40, 60), 9),
    44: 10,
    48: 11,
    49: 12,
    50: 13,
    51: 14,
    70: 15,
    71: 16,
    72: 17,
    80: 18,
    81: 19,
}
TRAIN_TO_RAW = [0, 10, 11, 15, 18, 20, 30, 31, 32, 40, 44, 48, 49, 50, 51, 70, 71, 72, 80, 81]
