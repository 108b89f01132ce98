"""Cameras of a recording: their images, calibration, and times relative to the scans."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from elite.errors import DataError
from elite.files import open_image
from elite.inspection.records import CameraReport
from elite.inspection.sampling import Sample
from elite.inspection.timing import nearest_offsets
from elite.recordings import CompressedImage, RawImage, Recording, Topic
from elite.recordings.calibration import FrameTree, TopicInfo, first_infos, image_size, info_of, is_rectified, lens_of

_LATE_S = 0.05  # between a scan and its nearest image: the default tolerance of data sets


def camera_reports(
    recording: Recording, sample: Sample, tree: FrameTree, scans: Topic | None, lidar: str | None
) -> tuple[CameraReport, ...]:
    """Report on all topics of images.

    Args:
        recording: their recording.
        sample: its messages.
        tree: its static transforms.
        scans: topic of the scans that images are paired with.
        lidar: frame of these.
    """
    infos = first_infos(recording)
    return tuple(
        _report(recording, topic, sample, tree, scans, lidar, infos)
        for topic in recording.topics_of(RawImage, CompressedImage)
    )


def _report(
    recording: Recording,
    topic: Topic,
    sample: Sample,
    tree: FrameTree,
    scans: Topic | None,
    lidar: str | None,
    infos: Sequence[TopicInfo],
) -> CameraReport:
    first = sample.images.get(topic.name)
    frame = first.frame if first else ""
    height, width, encoding = _image(first, topic.name)
    info = info_of(topic.name, frame, infos)
    has_transform = None if lidar is None or first is None else tree.find(tree.optical(frame), lidar) is not None
    pairs = nearest_offsets(sample.stamps_of(scans), sample.stamps_of(topic)) if scans else []
    offset, largest = (float(np.median(pairs)), max(pairs, key=abs)) if pairs else (None, None)
    notes = [
        *_calibration_notes(topic, info, (height, width)),
        *_other_notes(first is not None, encoding if not height else "", has_transform, frame, lidar),
    ]
    if largest is not None and abs(largest) > _LATE_S:
        notes.append(
            f"expected an image within {_LATE_S:g} s of each scan, found up to {abs(largest):.2f} s. Give elite "
            "convert another --sync, or synchronise the clocks."
        )
    return CameraReport(
        *(topic.name, topic.type, topic.count, recording.rate_of(topic), frame, height, width, encoding),
        info_topic=info[0].name if info else None,
        model=(info[1].distortion_model or "none") if info and info[1].K.any() else None,
        has_transform=has_transform,
        offset=offset,
        largest_offset=largest,
        notes=tuple(notes),
    )


def _image(image: RawImage | CompressedImage | None, source: str) -> tuple[int, int, str]:
    """Height, width and encoding; 0, 0 and the stated format of damaged files."""
    if image is None:
        return 0, 0, ""
    if isinstance(image, RawImage):
        return image.height, image.width, image.encoding
    try:
        with open_image(Path(source), "JPEG", "PNG", remedy="Record JPEG or PNG", data=bytes(image.data)) as opened:
            return opened.height, opened.width, (opened.format or "").lower()
    except DataError:
        return 0, 0, image.format


def _calibration_notes(topic: Topic, info: TopicInfo | None, size: tuple[int, int]) -> Iterator[str]:
    if info is None:
        yield "expected a CameraInfo topic of its images, found none. Record it, or give elite convert --calibration."
    elif size[0]:
        try:
            lens_of(info[1], size, info[0].name, rectified=is_rectified(topic.name))
        except DataError as error:
            yield str(error)
        else:
            if image_size(info[1]) != size:
                known, found = (f"{width} x {height}" for height, width in (image_size(info[1]), size))
                yield f"expected images of {known} pixels as calibrated, found {found}. The calibration is scaled."


def _other_notes(
    is_found: bool, unread: str, has_transform: bool | None, frame: str, lidar: str | None
) -> Iterator[str]:
    if not is_found:
        yield "expected images, found none in the sample."
    elif unread:
        yield f"expected JPEG or PNG, found an image of the format '{unread:.60}'. Record one of them."
    if has_transform is False:
        yield (
            f"expected static transforms from '{lidar}' to '{frame}', found none. Record /tf_static, or give elite "
            "convert --calibration."
        )
