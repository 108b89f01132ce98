"""Raw label ids of the objects of the street, by class name."""

import numpy as np

from elite.labels import CLASS_ID, to_raw

# Raw ids of moving objects; those of static ones come from elite.labels.
_MOVING = {
    "car": 252,
    "bicyclist": 253,
    "person": 254,
    "motorcyclist": 255,
    "other-vehicle": 257,
    "truck": 258,
}


def raw_id(name: str, *, moving: bool = False) -> int:
    """Return the raw id of a class by its name in ``elite.labels.CLASS_NAMES``."""
    return _MOVING[name] if moving else int(to_raw(np.array([CLASS_ID[name]]))[0])
