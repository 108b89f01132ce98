"""Small rendered drives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from elite.synthetic import DriveConfig, render_drive
from tests.support.shared import built_once


@contextmanager
def short_streets() -> Iterator[None]:
    """Build streets that end 50 m before and after the drive, in half of the time."""
    with patch("elite.synthetic.world1.build._MARGIN", 50.0), patch("elite.synthetic.world2.build._MARGIN", 50.0):
        yield


def small_drive() -> Path:
    """Sequences 00 and 08 of four small frames each, with 16 beams. Copy it to change it."""
    return built_once("small-drive", _render)


def _render(root: Path) -> None:
    config = DriveConfig(sequences=1, frames=4, beams=16, azimuths=256, image_width=300, image_height=90)
    with short_streets():
        render_drive(root, config, workers=1, progress=False)
