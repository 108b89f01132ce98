"""The ``dataset.yaml`` of a conversion."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from elite.conversion.cameras import CameraSource
from elite.conversion.journal import read_origin
from elite.conversion.settings import ConversionSettings
from elite.conversion.sources import Sources
from elite.datasets.described.description import DatasetDescription, load_description
from elite.errors import OutputError
from elite.files import TEXT_BYTES, read_file, write_bytes
from elite.layout import DESCRIPTION
from elite.paths import expanded
from elite.taxonomy import load_taxonomy

POSES = "poses.txt"
_SCANS = {"glob": "lidar/*.pcd", "labels": "labels/*.label", "times": "name"}
_DEFAULT_TAXONOMY = "semantickitti"
_DESKEW = "# Each point is moved by the poses from its own time to that of its scan (--deskew).\n"
_SAME = 1e-5  # metres, pixels and coefficients, of two calibrations
_TEMPLATE = """\
# Data set of elite convert. All keys: docs/reference/dataset-yaml.md
train: ["*"]  # folders of sequences
val: []       # such as [drive_02]; a folder listed here is not part of the pattern above
# Labels: one uint32 per point (id | instance << 16), or .npy arrays of ids with 'labels: labels/*.npy'.
{deskew}{scans}# The LiDAR. 'elite check' reports values to correct, such as the height above the ground.
{sensor}# Ids in the label files: a taxonomy, or your own, such as {{0: void, 1: road, 2: {{name: car, thing: true}}}}
names: {names}
{rest}"""


def write_description(out: Path, sources: Sources, settings: ConversionSettings, sensor: dict[str, Any]) -> None:
    """Write ``dataset.yaml``, and the file of its classes if they are one's own.

    Raises:
        OutputError: not writable.
    """
    rest: dict[str, Any] = {"sync": {"tolerance": settings.sync}}
    if sources.cameras:
        rest = {"cameras": {camera.name: camera.settings for camera in sources.cameras}, **rest}
    text = _TEMPLATE.format(
        deskew=_DESKEW if settings.deskew else "",
        scans=_yaml({"scans": _SCANS}),
        sensor=_yaml({"sensor": sensor}),
        names=json.dumps(_names(out, settings.taxonomy)),
        rest=_yaml(rest | ({"poses": POSES} if sources.poses else {})),
    )
    write_bytes(out / DESCRIPTION, text.encode())


def _yaml(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120)


def _names(out: Path, taxonomy: str | None) -> str:
    """Value of ``names``: a packaged taxonomy, or a copy of one's own."""
    if taxonomy is None:
        return _DEFAULT_TAXONOMY
    path = expanded(taxonomy)
    if not path.is_file():
        return taxonomy
    name = "classes.yaml" if path.name == DESCRIPTION else path.name
    write_bytes(out / name, read_file(path, TEXT_BYTES))
    return name


def check_description(out: Path, sources: Sources, settings: ConversionSettings) -> list[str]:
    """Check that an existing ``dataset.yaml`` describes the files of another conversion, too.

    Returns:
        Sentences about settings that it keeps instead of the new ones.

    Raises:
        OutputError: it has other files of scans, or other cameras or calibrations.
    """
    if not (out / DESCRIPTION).exists():
        return []
    described, _, taxonomy = load_description(out / DESCRIPTION)
    if (described.scans.glob, described.scans.times) != (_SCANS["glob"], _SCANS["times"]):
        raise _other(out, f"scans '{_SCANS['glob']}' with times 'name'", f"'{described.scans.glob}'")
    if sources.poses and described.poses != POSES:
        raise _other(out, f"'poses: {POSES}'", str(described.poses))
    for camera in sources.cameras:
        _check_camera(out, described, camera)
    others = []
    if sources.cameras and described.sync.tolerance != settings.sync:
        others.append(f"sync.tolerance: {described.sync.tolerance:g}, not that of --sync {settings.sync:g}")
    if settings.taxonomy is not None and load_taxonomy(settings.taxonomy).classes != taxonomy.classes:
        others.append(f"names, not those of --taxonomy {settings.taxonomy}")
    return [f"{out / DESCRIPTION} keeps its {other}. Edit it to change that" for other in others]


def check_deskew(out: Path, settings: ConversionSettings) -> None:
    """Check that points of other sequences are moved, or not moved, in the same way.

    Raises:
        OutputError: those of one are not.
    """
    for path in sorted(path for path in out.glob("[!.]*") if path.is_dir()):
        origin = read_origin(path)
        if origin is not None and origin.get("deskew", False) != settings.deskew:
            ours, theirs = ("with", "without") if settings.deskew else ("without", "with")
            raise OutputError(
                f"{out}: expected sequences that are all converted {ours} --deskew, found {path.name} {theirs} it. "
                f"Convert {theirs} --deskew, or give another -o."
            )


def _check_camera(out: Path, described: DatasetDescription, camera: CameraSource) -> None:
    if (known := described.cameras.get(camera.name)) is None:
        listed = ", ".join(described.cameras) or "no cameras"
        raise _other(out, f"the camera {camera.name}", listed)
    ours = camera.described
    same_lens = known.model == ours.model and _close(known.lens.K, ours.lens.K) and _close(known.dist, ours.dist)
    if known.images != ours.images or not same_lens or not _close(known.transform, ours.transform):
        raise _other(out, f"the images and the calibration of {camera.name} in this recording", "others")


def _close(one: Any, other: Any) -> bool:
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=0, atol=_SAME)


def _other(out: Path, expected: str, found: str) -> OutputError:
    return OutputError(
        f"{out / DESCRIPTION}: expected {expected}, found {found}. Give another -o, --cameras or --calibration."
    )
