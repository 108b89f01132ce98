"""The description of a data set of one's own: what ``dataset.yaml`` contains."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from elite.config import GridConfig, from_plain
from elite.datasets.described.cameras import CameraSettings
from elite.datasets.described.patterns import require_star
from elite.descriptions import read_yaml_file
from elite.errors import ConfigError
from elite.sensor import SensorSettings, SensorSpec
from elite.taxonomy import MOST_RAW, ClassSpec, Color, Taxonomy, load_taxonomy

_FIELD = "field:"


@dataclass(frozen=True)
class ScanSettings:
    """Files of the scans of a sequence, and of the labels of their points.

    Attributes:
        glob: scans below the folder of a sequence, such as ``lidar/*.pcd``: the text in place of the one ``*`` is the
            name of a frame. Formats: .bin, .npy, .npz, .pcd, .ply, .las, .laz.
        labels: files of their labels in the same way, such as ``labels/*.npy`` (integers) or ``labels/*.label``
            (uint32: id | instance << 16); or ``field:NAME``, a field of the scans; null = no labels.
        instances: instance ids in the same way, unless they are part of .label files; null = none.
        times: times of the scans: ``name`` = the name of a frame is its time, in seconds with a decimal point or in
            whole nanoseconds; or a file in the folder of a sequence, with lines ``NAME,SECONDS`` or one time for each
            of its scans; null = images are paired by name.
    """

    glob: str
    labels: str | None = None
    instances: str | None = None
    times: str | None = None

    def __post_init__(self) -> None:
        require_star(self.glob, "scans.glob")
        for key in ("labels", "instances"):
            value = getattr(self, key)
            if value is not None and not value.startswith(_FIELD):
                require_star(value, f"scans.{key}")

    @property
    def label_field(self) -> str | None:
        """Field of the scans that contains the labels; None = they are in other files, or nowhere."""
        return _field_name(self.labels)

    @property
    def instance_field(self) -> str | None:
        return _field_name(self.instances)


def _field_name(text: str | None) -> str | None:
    return text.removeprefix(_FIELD) if text and text.startswith(_FIELD) else None


@dataclass(frozen=True)
class NamedClass:
    """A class.

    Attributes:
        name: in tables and pictures. Ids with the same name are one class.
        color: red, green and blue, 0..255.
        thing: whether its objects are countable, as vehicles and people are.
        ground: whether objects can stand on it.
    """

    name: str
    color: Color | None = None
    thing: bool = False
    ground: bool = False


@dataclass(frozen=True)
class SyncSettings:
    """Pairs of scans and images by time.

    Attributes:
        tolerance: largest difference of times, in seconds.
    """

    tolerance: float = 0.05

    def __post_init__(self) -> None:
        if not self.tolerance >= 0:
            raise ConfigError(
                f"sync.tolerance: expected seconds, at least 0, found {self.tolerance}. Change the value."
            )


@dataclass(frozen=True)
class DatasetDescription:
    """A data set in files of one's own.

    Attributes:
        scans: files of scans and labels.
        names: name of each id in the label files, or the name or YAML file of a taxonomy.
        sensor: LiDAR: ``preset``, and values that differ from it.
        path: folder of the data set, relative to the folder of this file.
        name: in messages and results; by default that of the file or its folder.
        sequences: patterns of the folders of sequences, relative to ``path``; ``.`` = ``path`` itself. Those that no
            split contains are unlabelled data.
        train, val, test: patterns of the folders of each split.
        ignore: ids of points that are neither trained nor scored.
        volume: the student's volume and cells, in metres, as in ``grid`` of a training.
        cameras: by name; the names are those of the folders of generated labels.
        sync: how scans and images are paired if both have times.
        poses: file in the folder of a sequence: lines of 12 numbers (T_world_lidar, 3 x 4, one line for each of its
            scans), or of 8 (time x y z qx qy qz qw); null = no poses.
    """

    scans: ScanSettings
    names: dict[int, str | NamedClass] | str
    sensor: SensorSettings = field(default_factory=SensorSettings)
    path: Path = Path()
    name: str = ""
    sequences: tuple[str, ...] = ("*",)
    train: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    ignore: tuple[int, ...] = (0,)
    volume: GridConfig = field(default_factory=GridConfig)
    cameras: dict[str, CameraSettings] = field(default_factory=dict)
    sync: SyncSettings = field(default_factory=SyncSettings)
    poses: str | None = None

    def __post_init__(self) -> None:
        for name in self.cameras:
            if not name.isidentifier():
                raise ConfigError(
                    f"cameras: expected names of letters, digits and _, found '{name}'. Rename the camera.",
                    key=f"cameras.{name}",
                )
            if self.cameras[name].time_offset and self.scans.times is None:
                raise ConfigError(
                    f"cameras.{name}.time_offset: expected times of the scans (scans.times) with it, found none. Give "
                    "them, or remove it.",
                    key=f"cameras.{name}.time_offset",
                )
        outside = [raw for raw in self.ignore if not 0 <= raw < MOST_RAW]
        if outside or not self.ignore:
            found = f"{outside[0]}. Map it to another id when you write the labels" if outside else "none. Give [0]"
            raise ConfigError(f"ignore: expected ids in 0..{MOST_RAW - 1}, at least one, found {found}.", key="ignore")
        for key in ("sequences", "train", "val", "test"):
            for pattern in getattr(self, key):
                if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                    raise ConfigError(f"{key}: expected folders below path, found '{pattern}'. Change path.", key=key)

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """Patterns of the folders of each split, by its name in the library."""
        return {"train": self.train, "valid": self.val, "test": self.test}


def load_description(path: Path) -> tuple[DatasetDescription, SensorSpec, Taxonomy]:
    """Load a ``dataset.yaml``. Returns it with ``path`` and ``name`` completed, its sensor and its classes.

    Raises:
        ConfigError: unreadable, or with an unknown or missing key or an impossible value; the message has its line.
    """
    file = read_yaml_file(path, "description of a data set")
    with file.located():
        described = from_plain(DatasetDescription, file.values)
        stem = path.stem if path.stem != "dataset" else path.absolute().parent.name
        described = replace(described, path=path.parent / described.path, name=described.name or stem)
        try:
            sensor = described.sensor.spec(described.name)
        except ConfigError as error:
            error.key = "sensor"
            raise
        if described.sensor.no_return is None and not sensor.missing_returns:
            sensor = replace(sensor, no_return="drop")
        return described, sensor, taxonomy_of(described, path.parent)


def taxonomy_of(described: DatasetDescription, folder: Path) -> Taxonomy:
    """Return the classes of a data set; paths are relative to ``folder``.

    Raises:
        ConfigError: they do not make a taxonomy.
    """
    if isinstance(described.names, str):
        own = folder / described.names
        return load_taxonomy(own if own.is_file() else described.names)
    by_name: dict[str, list[int]] = {}
    first: dict[str, NamedClass] = {}
    for raw, entry in described.names.items():
        named = NamedClass(entry) if isinstance(entry, str) else entry
        if raw not in described.ignore:
            by_name.setdefault(named.name, []).append(raw)
            first.setdefault(named.name, named)
    ignored = [described.names[raw] for raw in described.ignore if raw in described.names]
    unlabelled = NamedClass("unlabelled") if not ignored else ignored[0]
    void = unlabelled if isinstance(unlabelled, str) else unlabelled.name
    classes = [ClassSpec(void, described.ignore or (0,), (0, 0, 0))]
    classes += [
        ClassSpec(name, tuple(raws), first[name].color, thing=first[name].thing, ground=first[name].ground)
        for name, raws in by_name.items()
    ]
    try:
        return Taxonomy(described.name, tuple(classes))
    except ConfigError as error:
        error.key = error.key or "names"
        raise
