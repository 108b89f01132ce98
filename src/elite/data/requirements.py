"""Checks that a selection has the images and dense labels that a training requires."""

from collections.abc import Sequence

from elite.datasets import Dataset
from elite.datasets.dense_labels import DenseLabels
from elite.errors import DataError


def check_any_image(frames: Dataset, positions: Sequence[int]) -> None:
    """Raises DataError if cameras are selected and none of these frames has an image."""
    if frames.cameras and not any(frames.image_cameras(i) for i in positions):
        raise DataError(
            f"{len(positions)} training scans: expected an image in {' or '.join(frames.cameras)} for the teacher, "
            "found none. Check the image folders, select other --data.cameras, or train without a teacher."
        )


def check_all_images(frames: Dataset, positions: Sequence[int], split: str, consequence: str) -> None:
    """Raises DataError if one of these frames lacks the image of a selected camera."""
    incomplete = [i for i in positions if len(frames.image_cameras(i)) < len(frames.cameras)]
    if incomplete:
        raise DataError(
            f"data.require_images: expected an image of {', '.join(frames.cameras)} for all {len(positions)} {split} "
            f"scans, found {len(incomplete)} scans without one, the first of them {frames.ids[incomplete[0]]}. Add the "
            f"images, or switch the setting off: a scan without image {consequence}."
        )


def check_dense_labels(dense: DenseLabels, labelled: Sequence[int]) -> None:
    """Raises DataError if folders of dense labels are selected and have none for any of these frames."""
    if dense.folders and not any(dense.cameras(i) for i in labelled):
        raise DataError(
            f"{', '.join(dense.folders.values())}: expected dense labels for images of the labelled training scans, "
            "found none. Check the folder's name, generate the labels with 'elite pseudo-label', give --data.derived "
            "if they are elsewhere, or set --data.dense-labels none."
        )
