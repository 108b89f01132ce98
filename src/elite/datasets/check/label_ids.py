"""Ids in label files that belong to another labelling than the one that the data set states."""

from collections.abc import Collection

import numpy as np

from elite.shapes import Float32, UInt8
from elite.taxonomy import Taxonomy, load_taxonomy, packaged_taxonomies

_NAMED = 5  # ids in a message
_FEWEST = 4  # different ids: fewer occur in several labellings
_NEAR_M, _HIGH_M = 15.0, 1.0  # distance of the points, and height above the ground of half of a ground class
_FEWEST_POINTS = 200


def foreign_ids(found: Collection[int], taxonomy: Taxonomy) -> str | None:
    """Describe ids that the taxonomy does not define, with a labelling that does; None without any.

    Ids that both define are the dangerous part: they are read as another class without an error.

    Args:
        found: raw ids of the label files.
        taxonomy: that the data set states.
    """
    known = _defined(taxonomy)
    if not (unknown := sorted(set(found) - known)):
        return None
    colliding = sorted((set(found) & known) - set(taxonomy.classes[0].raw_ids))
    text = f"expected label ids of {taxonomy.name}, found {_some(unknown)}."
    if colliding:
        names = taxonomy.names[int(taxonomy.to_train(np.array(colliding[:1]))[0])]
        text += f" {_some(colliding)} may then be other classes, too ({colliding[0]} is read as {names})."
    likely = likely_taxonomy(found)
    likely = f" {likely} defines all of them." if likely else ""
    return f"{text}{likely} Give the labelling of these files: names in dataset.yaml, or --taxonomy."


def likely_taxonomy(found: Collection[int]) -> str | None:
    """Name of the packaged taxonomy that defines all ids; None if there is none, or for few or consecutive ids."""
    ids = sorted(set(found))
    if len(ids) < _FEWEST or ids[-1] - ids[0] == len(ids) - 1:
        return None
    fitting = [name for name in packaged_taxonomies() if set(ids) <= _defined(load_taxonomy(name))]
    return min(fitting, key=lambda name: (len(_defined(load_taxonomy(name))), name), default=None)


def raised_ground(
    points: Float32[np.ndarray, "n 3"], classes: UInt8[np.ndarray, "n"], taxonomy: Taxonomy, ground: float
) -> dict[str, float]:
    """Ground classes whose points lie high above the ground: ids of another labelling.

    Args:
        points: sensor frame (m).
        classes: train id of each point.
        taxonomy: of the classes.
        ground: z of the ground (m).

    Returns:
        Median height (m) above the ground, by name of the class.
    """
    near = np.linalg.norm(points[:, :2], axis=1) < _NEAR_M
    found = {}
    for train_id, spec in enumerate(taxonomy.classes):
        heights = points[near & (classes == train_id), 2] - ground
        if spec.ground and len(heights) >= _FEWEST_POINTS and (median := float(np.median(heights))) > _HIGH_M:
            found[spec.name] = median
    return found


def _defined(taxonomy: Taxonomy) -> set[int]:
    return {raw for spec in taxonomy.classes for raw in spec.raw_ids}


def _some(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:_NAMED])) + (", ..." if len(ids) > _NAMED else "")
