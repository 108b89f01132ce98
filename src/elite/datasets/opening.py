"""Opening of a data set of any format."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from elite.datasets.base import Dataset
from elite.datasets.described import Described, described_cameras, described_taxonomy, is_described
from elite.datasets.nuscenes import NuScenes
from elite.datasets.nuscenes.folders import is_nuscenes
from elite.datasets.nuscenes.tables import CAMERAS as NUSCENES_CAMERAS
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import ConfigError, DataError
from elite.layout import CAMERAS, is_root
from elite.paths import expanded
from elite.plugins import make_plugin
from elite.sensor import SensorSpec, load_sensor
from elite.taxonomy import Taxonomy, load_taxonomy

_DEFAULT_CAMERA = "image_2"


class _Format(NamedTuple):
    """A known format: reader, classes and cameras of a root, test of a root, and files by which users recognise it."""

    reader: type[Dataset]
    taxonomy: Callable[[Path], Taxonomy]
    cameras: Callable[[Path], tuple[str, ...]]
    matches: Callable[[Path], bool]
    files: str


FORMATS = {
    "described": _Format(Described, described_taxonomy, described_cameras, is_described, "dataset.yaml"),
    "semantickitti": _Format(
        SemanticKITTI,
        lambda _: load_taxonomy("semantickitti"),
        lambda _: tuple(CAMERAS),
        is_root,
        "sequences/00/velodyne/000000.bin",
    ),
    "nuscenes": _Format(
        NuScenes,
        lambda _: load_taxonomy("nuscenes-lidarseg"),
        lambda _: NUSCENES_CAMERAS,
        is_nuscenes,
        "v1.0-trainval/sample_data.json",
    ),
}


def open_dataset(
    root: str | Path,
    format: str | None = None,
    *,
    taxonomy: str | Taxonomy | None = None,
    sensor: str | SensorSpec | None = None,
    **options: Any,
) -> Dataset:
    """Open a data set.

    Args:
        root: its folder, or the YAML file that describes it.
        format: one of ``FORMATS``, or a class ``package.module:Class`` that implements ``Dataset`` and is made with the
            root and the options; None = recognised by its files.
        taxonomy: classes of its labels, or their name or file; None = those of the format.
        sensor: LiDAR of its scans, or its name or file; None = that of the data set.
        **options: arguments of the reader, such as ``sequences="train"``.

    Raises:
        DataError: no data set, or one of an unknown format.
        ConfigError: an unknown format, or an option that the reader lacks.
    """
    path = expanded(root)
    if taxonomy is not None:
        options["taxonomy"] = taxonomy if isinstance(taxonomy, Taxonomy) else load_taxonomy(taxonomy)
    if sensor is not None:
        options["sensor"] = sensor if isinstance(sensor, SensorSpec) else load_sensor(sensor)
    if format is not None and ":" in format:
        return make_plugin(format, Dataset, path, **options)
    return _format_of(path, format).reader(path, **options)  # type: ignore[call-arg]


def taxonomy_of(
    root: str | Path, format: str | None = None, taxonomy: str | None = None, sensor: str | None = None
) -> Taxonomy:
    """Return the classes that ``open_dataset`` gives its data set, without opening it unless its reader is a plugin."""
    if taxonomy is not None:
        return load_taxonomy(taxonomy)
    if format is not None and ":" in format:
        return open_dataset(root, format, sensor=sensor).taxonomy
    return _format_of(expanded(root), format).taxonomy(expanded(root))


def _format_of(root: Path, name: str | None) -> _Format:
    name = name or recognise_format(root)
    if name not in FORMATS:
        raise ConfigError(
            f"format: expected {', '.join(FORMATS)} or package.module:Class, found '{name}'. Correct the name."
        )
    return FORMATS[name]


def resolved_cameras(cameras: str, root: str | Path, format: str | None = None) -> str:
    """Return the cameras of settings: their default, image_2 of SemanticKITTI, means all cameras of other data sets.

    Raises:
        DataError, ConfigError: as ``open_dataset``.
    """
    if cameras != _DEFAULT_CAMERA:
        return cameras
    if format is not None and ":" in format:
        known = tuple(open_dataset(root, format).cameras)
    else:
        known = _format_of(expanded(root), format).cameras(expanded(root))
    return cameras if cameras in known else ",".join(known) or "none"


def is_dataset(root: Path) -> bool:
    """Return whether a folder is a data set of one of ``FORMATS``."""
    return any(format.matches(root) for format in FORMATS.values())


def recognise_format(root: Path) -> str:
    """Return the name of the format of a data set. A description precedes the layout of the files.

    Raises:
        DataError: none of ``FORMATS``, or more than one.
    """
    found = [name for name, format in FORMATS.items() if format.matches(root)]
    if len(found) == 1 or found[:1] == ["described"]:
        return found[0]
    known = "; ".join(f"{name} ({format.files}, ...)" for name, format in FORMATS.items())
    raise DataError(
        f"{root}: expected a data set of one known format: {known}. Found {' and '.join(found) or 'none of them'}. "
        "Check the path, or give the format."
    )
