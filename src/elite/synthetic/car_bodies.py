"""Proportions of the body types of cars."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Body:
    """Ranges of a body type: length, width and height (m); the rest are shares.

    Attributes:
        bonnet: length from the nose to the foot of the windscreen, of the length.
        deck: length from the tail to the foot of the rear window, of the length.
        belt: height of the lower edge of the windows, of the height.
        nose: height of the front edge of the bonnet, of the belt's height.
        rake: horizontal length of the windscreen, of the height.
        slope: horizontal length of the rear window, of the height.
        clearance: gap under the body (m).
        panelled: share of the sides behind the front doors without glass.
    """

    length: tuple[float, float]
    width: tuple[float, float]
    height: tuple[float, float]
    bonnet: float
    deck: float
    belt: float
    nose: float
    rake: float
    slope: float
    clearance: float = 0.19
    panelled: float = 0.0


SMALL = Body((3.4, 3.8), (1.62, 1.70), (1.46, 1.56), 0.22, 0.02, 0.61, 0.82, 0.46, 0.2)
HATCHBACK = Body((3.9, 4.35), (1.70, 1.82), (1.42, 1.52), 0.25, 0.03, 0.62, 0.80, 0.52, 0.35)
SALOON = Body((4.4, 4.95), (1.72, 1.88), (1.41, 1.48), 0.27, 0.15, 0.63, 0.80, 0.55, 0.5)
ESTATE = Body((4.4, 4.9), (1.72, 1.85), (1.43, 1.52), 0.26, 0.03, 0.62, 0.80, 0.52, 0.3)
COUPE = Body((4.1, 4.6), (1.74, 1.88), (1.28, 1.40), 0.30, 0.10, 0.63, 0.78, 0.6, 0.8, 0.15)
SUV = Body((4.2, 4.9), (1.78, 1.95), (1.60, 1.85), 0.25, 0.03, 0.61, 0.86, 0.4, 0.2, 0.24)
CARRIER = Body((4.1, 4.8), (1.72, 1.90), (1.60, 1.85), 0.19, 0.02, 0.57, 0.82, 0.5, 0.14)
VAN = Body((4.4, 5.3), (1.82, 1.98), (1.85, 2.05), 0.15, 0.01, 0.56, 0.84, 0.42, 0.08, 0.2)
LARGE_VAN = Body((5.3, 6.9), (1.95, 2.06), (2.35, 2.75), 0.13, 0.01, 0.5, 0.82, 0.34, 0.05, 0.22, 1.0)
PICKUP = Body((4.9, 5.4), (1.78, 1.92), (1.72, 1.85), 0.25, 0.33, 0.6, 0.86, 0.38, 0.1, 0.26)
