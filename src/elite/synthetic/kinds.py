"""Tables of makers of objects: the kinds of a module by name, each with the room that it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from elite.synthetic.mesh import Part

# Raw ids that the benchmark ignores: bus shelters, bridges; benches, bins, cabinets.
OTHER_STRUCTURE, OTHER_OBJECT = 52, 99


@dataclass(frozen=True)
class Kind:
    """Maker of objects of one kind, in their own axes: x forward (or away from the street), y left, z up.

    Attributes:
        make: ``make(rng)``; of kinds with ``lengths``: ``make(rng, length)``, which fills ``length`` along y.
        x: smallest and largest x (m) of any object of the kind.
        y: largest absolute y (m); of kinds with ``lengths``: largest excess over half the length.
        z: largest height (m).
        lengths: smallest and largest ``length`` (m) that ``make`` accepts; None for kinds with a size of their own.
        label: class of a movable object, whose parts have label 0 until they are relabelled; None where the parts
            have their labels.
        weight: share of the kind among those of its table, relative to the others.
    """

    make: Callable[..., list[Part]]
    x: tuple[float, float]
    y: float
    z: float
    lengths: tuple[float, float] | None = None
    label: str | None = None
    weight: float = 1.0


def draw(kinds: Mapping[str, Kind], rng: np.random.Generator) -> str:
    """Draw the name of a kind by weight."""
    weights = np.array([kind.weight for kind in kinds.values()])
    return str(rng.choice(list(kinds), p=weights / weights.sum()))
