"""Scans of a street for the input guard, as (n, 4) arrays of x y z remission, and their faults."""

import numpy as np

from elite.types import Scan


def street(seed: int = 0, points: int = 6000, *, parked: int = 900) -> np.ndarray:
    """A level road at z = -1.73 with cars parked along it: (n, 4) float32 x y z remission."""
    rng = np.random.default_rng(seed)

    def box(low: tuple[float, ...], high: tuple[float, ...], count: int) -> np.ndarray:
        return rng.uniform((*low, 0), (*high, 1), (count, 4))

    road, cars = box((-20, -20, -1.75), (20, 20, -1.71), points), box((-1, 4, -1.2), (1, 8, 0), parked)
    return np.concatenate([road, cars]).astype(np.float32)


def turned(values: np.ndarray) -> np.ndarray:
    """x forward, y left to x right, y forward."""
    return np.column_stack([-values[:, 1], values[:, 0], values[:, 2:]])


def no_returns(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed[: len(changed) // 5, :3] = 0
    return changed


def scan_of(values: np.ndarray) -> Scan:
    values = np.ascontiguousarray(values, np.float32)
    return Scan(values[:, :3], values[:, 3])


def with_ring(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values, np.arange(len(values)) % 64])


def in_firing_order(values: np.ndarray) -> np.ndarray:
    return values[np.argsort(np.arctan2(values[:, 1], values[:, 0]))]


def drive(seed: int, *, parked: int = 900) -> np.ndarray:
    """The next scan of a drive: each one shows another number of parked cars."""
    return street(seed, parked=parked + 400 * (seed % 3))
