"""Adapt a student to scans of another sensor or place, without labels."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from elite.errors import DataError
from elite.inference import Segmenter
from elite.student import SPVCNN
from elite.student.networks import network_of
from elite.types import Scan


@dataclass(frozen=True)
class Adaptation:
    """An adapted student.

    Attributes:
        student: in eval mode; everything except the statistics of its batch norms is that of the given one.
        scans: number of scans that the statistics are from.
        shift: mean distance of the channels' means in the scans from those of the given student, in standard deviations
            of the latter. Near 0, the scans are like the training scans.
    """

    student: SPVCNN
    scans: int
    shift: float


@torch.no_grad()
def adapt_batch_norms(segmenter: Segmenter, scans: Iterable[tuple[object, Scan]], weight: float = 0.5) -> Adaptation:
    """Re-estimate the statistics of the batch norms: (1 - weight) x those of the student + weight x those of the scans.

    Means and variances of the scans are those of training steps with one scan each, averaged over the scans.

    Args:
        segmenter: its student, with the conversion of its scans.
        scans: name in messages, and scan.
        weight: 0..1.

    Raises:
        DataError: a scan that the segmenter refuses, or one of too few points; or there are none.
    """
    network = network_of(segmenter.student).to(segmenter.device)
    network.backend = segmenter.backend
    measured = deepcopy(network).train()
    for norm in _norms(measured):
        norm.reset_running_stats()
        norm.momentum = None  # a plain average
    count = 0
    for source, scan in scans:
        _run(measured, segmenter, scan, source)
        count += 1
    if not count:
        raise DataError("DATA: expected at least one scan, found none. Select others.")
    student = deepcopy(network)
    (old_mean, old_var), (new_mean, new_var) = _statistics(student), _statistics(measured)
    shift = torch.cat([(b - a).abs() / var.sqrt() for a, b, var in zip(old_mean, new_mean, old_var, strict=True)])
    adaptation = Adaptation(student, count, shift.mean().item())
    for old, new in zip((*old_mean, *old_var), (*new_mean, *new_var), strict=True):
        old.lerp_(new, weight)
    return adaptation


def _norms(student: nn.Module) -> list[nn.BatchNorm1d]:
    return [part for part in student.modules() if isinstance(part, nn.BatchNorm1d)]


def _statistics(student: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """(means, variances) of the batch norms."""
    buffers = dict(student.named_buffers())
    means, variances = ([b for name, b in buffers.items() if name.endswith(f".running_{x}")] for x in ("mean", "var"))
    return means, variances


def _run(student: SPVCNN, segmenter: Segmenter, scan: Scan, source: object) -> None:
    """Run a student in training mode on a scan, which updates its statistics."""
    crop = segmenter.crop(scan, source)
    batch_index = np.zeros(len(crop.points), np.int64)
    inputs = (crop.points, crop.remission, batch_index, *([] if crop.age is None else [crop.age]))
    try:
        logits = student(*(torch.from_numpy(values).to(segmenter.device) for values in inputs)).logits
    except ValueError as error:  # of a batch norm of one row
        raise DataError(
            f"{source}: expected points in several cells of each grid, found {len(crop.points)} points in few. Give "
            "scans with more points."
        ) from error
    if not logits.isfinite().all():
        raise DataError(
            f"{source}: expected finite features, found NaN or infinite ones. Check the scan's remission (0 to 1 is "
            "usual)."
        )
