"""Result of a conversion, in words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from elite.config import from_plain, plain
from elite.conversion.journal import Journal, damaged_record
from elite.conversion.settings import ConversionSettings
from elite.conversion.sources import Sources
from elite.errors import ConfigError, DataError


@dataclass(frozen=True)
class ConversionReport:
    """Result of a conversion.

    Attributes:
        folder: of the sequence.
        scans: number of its scans.
        images: number of scans with an image, by camera.
        poses: topic of the poses and the frame that they are of; empty = motion is not compensated.
        skipped: number of messages and scans that are not part of it, by reason.
        notes: sentences about cameras, poses and damaged parts of the recording.
        is_new: False if it was complete before, so that nothing was written.
    """

    folder: Path
    scans: int
    images: dict[str, int]
    poses: str
    skipped: dict[str, int]
    notes: tuple[str, ...]
    is_new: bool = True

    @classmethod
    def of(
        cls, folder: Path, sources: Sources, settings: ConversionSettings, journal: Journal, others: Sequence[str]
    ) -> "ConversionReport":
        """Sum the record of a complete conversion; ``others`` are sentences about the LiDAR and the recording.

        Raises:
            DataError: it has no scans.
        """
        converted = [entry for entry in journal.entries if entry.is_converted]
        skipped = dict(journal.final.faults) if journal.final else {}
        if without := len(journal.entries) - len(converted):
            reason = "for all their points" if settings.deskew else "(--poses none converts them)"
            skipped[f"scans without poses {reason}"] = without
        if not converted:
            reasons = ", ".join(f"{what}: {number}" for what, number in skipped.items()) or "none in this part"
            raise DataError(
                f"{sources.lidar.topic.name}: expected scans, found {reasons}. Choose another part or topic."
            )
        images = {c.name: sum(c.name in entry.images for entry in converted) for c in sources.cameras}
        notes = [
            f"camera {name}: {len(converted) - number} of {len(converted)} scans have no image within {settings.sync} s"
            for name, number in images.items()
            if number < len(converted)
        ]
        poses = f"{sources.poses.topic.name} of {sources.poses.child}" if sources.poses else ""
        return cls(folder, len(converted), images, poses, skipped, (*sources.notes, *notes, *others))

    @classmethod
    def read(cls, folder: Path, values: Any) -> "ConversionReport":
        """Read the report of a conversion that was complete before, from its record.

        Raises:
            DataError: it is damaged.
        """
        try:
            return replace(from_plain(cls, values | {"folder": str(folder)}), is_new=False)
        except (ConfigError, TypeError) as error:
            raise damaged_record(folder, error) from error

    def lines(self) -> list[str]:
        """Lines for the terminal."""
        images = ", ".join(f"{number} images of {camera}" for camera, number in self.images.items())
        motion = f", poses by {self.poses}" if self.poses else ""
        complete = "" if self.is_new else "already complete: "
        return [
            f"{self.folder}: {complete}{self.scans} scans" + (f", {images}" if images else "") + motion,
            *(f"  skipped: {what}: {number}" for what, number in self.skipped.items()),
        ]

    def to_dict(self) -> dict[str, Any]:
        return plain(self)

    def to_record(self) -> dict[str, Any]:
        """Values for the record in ``folder``, which may be moved; ``read`` reads them."""
        return {name: value for name, value in self.to_dict().items() if name not in ("folder", "is_new")}
