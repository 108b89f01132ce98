"""Distribution of the remission of a student's training scans, as quantiles."""

from typing import Any

import numpy as np

from elite.errors import ConfigError
from elite.shapes import Float32

_COUNT = 33  # quantiles: of the shares 0, 1/32, ..., 1
_DIGITS = 5

Quantiles = tuple[float, ...]


def quantiles_of(remission: Float32[np.ndarray, "n"]) -> Quantiles:
    """Quantiles of at least one value, at equal steps of the share from the smallest to the largest one."""
    values = np.quantile(remission.astype(np.float64), np.linspace(0, 1, _COUNT))
    return tuple(round(float(value), _DIGITS) for value in values)


def quantiles_from(values: Any, source: str) -> Quantiles:
    """Check the quantiles of a file, which ``source`` names.

    Raises:
        ConfigError: other values than at least two ascending finite numbers.
    """
    is_list = isinstance(values, list) and len(values) > 1 and all(isinstance(v, float | int) for v in values)
    if not is_list or not np.isfinite(values).all() or (np.diff(values) < 0).any():
        raise ConfigError(f"{source}: expected ascending quantiles of remission, found others.")
    return tuple(map(float, values))


def quantile(quantiles: Quantiles, share: float) -> float:
    """Value that is not exceeded by this share (0..1) of the training points."""
    return float(np.interp(share, np.linspace(0, 1, len(quantiles)), quantiles))


def mapped_by_rank(remission: Float32[np.ndarray, "n"], quantiles: Quantiles) -> Float32[np.ndarray, "n"]:
    """Replace the value of each point by the quantile of its rank in the scan. Equal values stay equal."""
    ordered = np.sort(remission)
    below, not_above = (np.searchsorted(ordered, remission, side) for side in ("left", "right"))
    share = (below + not_above) / (2 * max(len(remission), 1))
    return np.interp(share, np.linspace(0, 1, len(quantiles)), quantiles).astype(np.float32)
