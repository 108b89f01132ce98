"""Instance cutmix of a training set: objects of another labelled scan are pasted into a sample."""

import numpy as np

from elite.config import CutmixConfig
from elite.data.cutmix import Cutout, extract_objects, paste
from elite.data.label_budget import LabelBudget
from elite.datasets import Dataset
from elite.errors import DataError
from elite.geometry import Volume
from elite.shapes import UInt8, UInt32
from elite.types import Frame

_EXAMINED = 20  # scans in which objects are searched


class ObjectPaster:
    """Source of objects for the samples of a training set.

    Only points with a usable label are pasted, and only into scans with usable labels, since the ground of other scans
    is unknown.
    """

    def __init__(self, frames: Dataset, budget: LabelBudget, config: CutmixConfig, volume: Volume) -> None:
        self.frames, self.budget, self.config, self.volume = frames, budget, config, volume

    def paste(
        self, i: int, sample_index: int, frame: Frame, labels: UInt8[np.ndarray, "n"], rng: np.random.Generator
    ) -> list[Cutout]:
        """Place objects of another labelled scan (of the same one if it is the only one) into frame ``i``.

        A scan that cannot be read provides no objects; it is reported when its own turn comes.

        Args:
            i: index of the frame.
            sample_index: index of the sample; the other scan follows from it and ``rng``.
            frame: the frame.
            labels: its usable labels.
            rng: generator of the positions.
        """
        if not self.config.objects or self.budget.is_unlabelled(i):
            return []
        labelled = self.budget.labelled
        donor = labelled[(sample_index + int(rng.integers(1, max(len(labelled), 2)))) % len(labelled)]
        try:
            source = self.frames.frame(donor, ())
        except DataError:
            return []
        cutouts = extract_objects(source.scan, self._objects(donor, source), self.config.fewest)
        objects = self._objects(i, frame)
        taxonomy = self.frames.taxonomy
        return paste(cutouts, frame.scan.points, labels, objects, taxonomy, self.config, self.volume, rng)

    def finds_objects(self) -> bool:
        """Search some labelled scans, evenly spaced, for an object (class and instance)."""
        labelled = self.budget.labelled
        some = labelled[:: max(1, len(labelled) // _EXAMINED)]
        return any(self._objects(i, self.frames.frame(i, ())).any() for i in some)

    def _objects(self, i: int, frame: Frame) -> UInt32[np.ndarray, "n"]:
        """Vehicles and people of a labelled frame, 0 for points without usable label.

        Some files have instance ids of other classes, which do not denote objects.
        """
        assert frame.objects is not None  # labels and objects come together
        labels = self.budget.usable(i, frame.id, frame.labels, len(frame.scan))
        return np.where(np.isin(labels, self.frames.taxonomy.things), frame.objects, np.uint32(0))
