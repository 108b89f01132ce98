"""Small rendered drives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from elite.synthetic import DriveConfig, render_drive


@contextmanager
def short_streets() -> Iterator[None]:
    """Build streets that end 50 m before and after the drive, in half of the time."""
    with patch("elite.synthetic.world1.build._MARGIN", 50.0), patch("elite.synthetic.world2.build._MARGIN", 50.0):
        yield


def render_small_drive(root: Path, frames: int, image_width: int, image_height: int) -> Path:
    """Render the sequences 00 and 08 of ``frames`` frames each, with 16 beams, to ``root``."""
    size = {"beams": 16, "azimuths": 256, "image_width": image_width, "image_height": image_height}
    with short_streets():
        render_drive(root, DriveConfig(sequences=1, frames=frames, **size), workers=1, progress=False)
    return root
