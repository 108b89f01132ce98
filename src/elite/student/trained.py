"""A trained student without its network: weights, configuration, and the scans that it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from elite.config import StudentConfig
from elite.errors import CheckpointError
from elite.remission import Quantiles
from elite.sensor import SensorSpec
from elite.shapes import Shaped
from elite.taxonomy import Taxonomy


@dataclass(frozen=True)
class TrainedStudent:
    """Weights of a student as arrays, for the native engine and for files. It requires no PyTorch.

    Attributes:
        config: of the network; its ``remission_gain`` is 1, because the weights contain it.
        weights: by their names in :class:`elite.student.SPVCNN`, in float32 or float16; counters are integers.
        taxonomy: classes of the logits.
        sensor: LiDAR of the training scans.
        remission: quantiles of the remission of the training scans; None = unknown.
        source: file of the student, for messages.

    Raises:
        CheckpointError: a number of classes that is not that of the taxonomy.
    """

    config: StudentConfig
    weights: Mapping[str, Shaped[np.ndarray, "..."]]
    taxonomy: Taxonomy
    sensor: SensorSpec
    remission: Quantiles | None = None
    source: object = "the student"

    def __post_init__(self) -> None:
        if len(self.taxonomy) != self.config.classes:
            raise other_classes(self.taxonomy, self.config.classes, self.source)

    def trained(self) -> "TrainedStudent":
        """The student itself; networks have this method too."""
        return self


def other_classes(taxonomy: Taxonomy, classes: int, source: object) -> CheckpointError:
    """Error of a taxonomy with another number of classes than the logits."""
    return CheckpointError(
        f"{source}: expected {len(taxonomy)} logits, the classes of {taxonomy.name} with the ignored one, found "
        f"{classes}. Give a student and a taxonomy that belong together."
    )
