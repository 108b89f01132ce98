"""Distances of colours as people with different colour vision see them."""

import numpy as np

# How colours look without red (protanopia) or green (deuteranopia) receptors, on linear RGB (Machado et al. 2009).
_SIGHT = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.052]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]),
)


def nearest_colors(colors: np.ndarray) -> float:
    """Smallest distance in CIELAB of any two RGB colours (n, 3; 0..255), for any of the colour visions."""
    share = colors / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    seen = (_to_lab(np.clip(linear @ sight.T, 0, 1)) for sight in _SIGHT)
    pairs = np.triu_indices(len(colors), 1)
    return min(float(np.linalg.norm(lab[:, None] - lab, axis=2)[pairs].min()) for lab in seen)


def _to_lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB of linear RGB (n, 3), white D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
