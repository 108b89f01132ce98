"""Comparison of a data set with the training scans of a student, by the input guard."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from elite.config import plain
from elite.datasets.base import Dataset
from elite.datasets.check.advice import Advice, is_other_number
from elite.datasets.check.beam_pattern import elevation_text
from elite.datasets.check.scan_measures import ScanMeasures
from elite.datasets.input_guard import examine, some_scans
from elite.geometry import Volume
from elite.remission import Quantiles
from elite.sensor import SensorSpec

_OF_THE_STUDENT = ("remission", "height", "volume")  # the others are faults of the data, whatever the student
_TURNED = {"unit", "axes"}  # then, neither heights nor distances are comparable


@dataclass(frozen=True)
class TrainedInput:
    """Training scans of a student.

    Attributes:
        name: of the student, in messages.
        volume: low and high corner (m).
        sensor: LiDAR.
        remission: quantiles; None = not recorded.
    """

    name: str
    volume: Volume
    sensor: SensorSpec
    remission: Quantiles | None = None

    def to_dict(self) -> dict[str, Any]:
        return plain(self) | {"sensor": self.sensor.to_dict()}


def trained_advice(
    dataset: Dataset, scans: ScanMeasures | None, trained: TrainedInput, reported: Collection[str]
) -> list[Advice]:
    """Compare some scans of a data set with the training scans of a student.

    Args:
        dataset: its scans, as its description converts them.
        scans: their measures.
        trained: the student's input.
        reported: kinds of advice on the description, which is to be corrected first.
    """
    if _TURNED & set(reported):
        return []
    found: dict[str, list[str]] = {}
    count = 0
    for _, scan in some_scans(dataset, range(len(dataset))):
        count += 1
        for doubt in examine(scan, trained.volume, sensor=trained.sensor, remission=trained.remission).doubts:
            found.setdefault(doubt.kind, []).append(doubt.message)
    advice = [
        Advice(f"trained {kind}", f"predict with {trained.name}: {messages[0]}", is_certain=2 * len(messages) > count)
        for kind, messages in found.items()
        if kind in _OF_THE_STUDENT and (kind == "height" or kind not in reported)
    ]
    return [*advice, *([] if scans is None else beam_advice(scans, trained))]


def beam_advice(scans: ScanMeasures, trained: TrainedInput) -> Iterator[Advice]:
    """Yield advice if the number of beams is another one than in the training scans."""
    elevations = trained.sensor.elevations
    if scans.beams is None or scans.lowest is None or scans.highest is None:
        return
    if is_other_number(round(scans.beams), len(elevations)):
        yield Advice(
            "trained beams",
            f"predict with {trained.name}: expected {len(elevations)} beams from "
            f"{elevation_text(elevations[0], elevations[-1])}, as in the training scans, found {scans.beams:.0f} from "
            f"{elevation_text(scans.lowest, scans.highest)}. No setting converts them: score the student on labelled "
            "scans of this sensor with 'elite evaluate'.",
            is_certain=False,
        )
