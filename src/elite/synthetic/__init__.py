"""A synthetic street drive, ray-cast into the SemanticKITTI layout: camera and LiDAR see the same world."""

from elite.synthetic.config import DriveConfig
from elite.synthetic.drive import DriveSummary, render_drive

__all__ = ["DriveConfig", "DriveSummary", "render_drive"]
