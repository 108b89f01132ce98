"""Synthetic street drives in the SemanticKITTI layout, with camera and LiDAR rendered from the same world."""

from typing import TYPE_CHECKING, Any

from elite.synthetic.config import DriveConfig

if TYPE_CHECKING:
    from elite.synthetic.drive import DriveSummary, render_drive

__all__ = ["DriveConfig", "DriveSummary", "render_drive"]


def __getattr__(name: str) -> Any:
    """Import the renderer on first use: ``elite synth --help`` then does not import torch."""
    if name in ("DriveSummary", "render_drive"):
        from elite.synthetic import drive

        return getattr(drive, name)
    raise AttributeError(f"module 'elite.synthetic' has no attribute '{name}'")
