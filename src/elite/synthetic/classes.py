"""Raw label ids of the objects of the street, by class name."""

import numpy as np

from elite.taxonomy import load_taxonomy

TAXONOMY = load_taxonomy("semantickitti")  # streets are written in the layout of SemanticKITTI
# Raw ids of moving objects; those of static ones come from the taxonomy.
_MOVING = {
    "car": 252,
    "bicyclist": 253,
    "person": 254,
    "motorcyclist": 255,
    "other-vehicle": 257,
    "truck": 258,
}


def raw_id(name: str, *, moving: bool = False) -> int:
    """Return the raw id of a class of SemanticKITTI by its name."""
    return _MOVING[name] if moving else int(TAXONOMY.to_raw(np.array([TAXONOMY.train_id[name]]))[0])
