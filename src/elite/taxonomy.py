"""Taxonomies: the classes of a data set, and the ids that its files store for them.

Two kinds of ids occur. *Raw* ids are those of files: SemanticKITTI stores 10 for a car and 252 for a moving one.
*Train* ids number the classes from 1 on; 0 is everything that is neither trained nor scored. Only readers and writers
of files know raw ids.
"""

import colorsys
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, Self

import numpy as np

from elite.config import from_plain, plain
from elite.descriptions import packaged_names, read_description
from elite.errors import ConfigError, DataError
from elite.label_mapping import IGNORE, MOST_CLASSES, from_label_mapping
from elite.shapes import Bool, Integer, UInt8, UInt16

Color = tuple[int, int, int]

_PACKAGED = Path(__file__).parent / "taxonomies"
MOST_RAW = 2**16  # label files have 16 bits for them


@dataclass(frozen=True)
class ClassSpec:
    """A class of points.

    Attributes:
        name: in messages, tables and pictures.
        raw_ids: ids of the class in files. Predictions are written with the first one.
        color: RGB; None = chosen by the number of the class.
        safe_color: RGB that differs from those of all other classes for every colour vision; None = ``color``.
        thing: whether its objects are countable, as vehicles and people are.
        ground: whether objects can stand on it.
        stands_on: names of the ground classes on which its objects occur (for cutmix).
        points: labelled points of the class in the training split, for class weights.
    """

    name: str
    raw_ids: tuple[int, ...]
    color: Color | None = None
    safe_color: Color | None = None
    thing: bool = False
    ground: bool = False
    stands_on: tuple[str, ...] = ()
    points: int | None = None


@dataclass(frozen=True)
class Taxonomy:
    """Classes in the order of their train ids; the first one is ignored.

    Attributes:
        name: such as ``semantickitti``.
        classes: one per train id.

    Raises:
        ConfigError: impossible classes, such as two with one raw id.
    """

    name: str
    classes: tuple[ClassSpec, ...]

    def __post_init__(self) -> None:
        _check_classes(self.name, self.classes)

    def __len__(self) -> int:
        """Return the number of train ids, 0 included."""
        return len(self.classes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    @cached_property
    def train_id(self) -> Mapping[str, int]:
        """Train id of each name."""
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def colors(self) -> UInt8[np.ndarray, "classes 3"]:
        """RGB of each class."""
        return np.array([c.color or _default_color(i) for i, c in enumerate(self.classes)], np.uint8)

    @cached_property
    def safe_colors(self) -> UInt8[np.ndarray, "classes 3"]:
        """RGB of each class, for red-green colour blindness."""
        return np.array([c.safe_color or c.color or _default_color(i) for i, c in enumerate(self.classes)], np.uint8)

    @cached_property
    def things(self) -> tuple[int, ...]:
        """Train ids of the classes with countable objects."""
        return tuple(i for i, c in enumerate(self.classes) if c.thing)

    @cached_property
    def is_ground(self) -> Bool[np.ndarray, "classes"]:
        return np.array([c.ground for c in self.classes])

    @cached_property
    def is_upright(self) -> Bool[np.ndarray, "classes"]:
        """Neither ground nor ignored."""
        return ~self.is_ground & (np.arange(len(self)) != IGNORE)

    def ground_of(self, train_id: int) -> Bool[np.ndarray, "classes"]:
        """Classes on which the objects of a class stand."""
        return np.isin(self.names, self.classes[train_id].stands_on)

    @cached_property
    def point_counts(self) -> tuple[int, ...] | None:
        """Labelled points of the classes 1..; None if any is unknown."""
        counts = tuple(c.points for c in self.classes[1:])
        return None if None in counts else counts  # type: ignore[return-value]

    @cached_property
    def _train_of_raw(self) -> UInt8[np.ndarray, "raw"]:
        """Train id of each raw id, or the number of classes for an undefined one."""
        table = np.full(MOST_RAW, len(self), np.uint8)
        for train_id, spec in enumerate(self.classes):
            table[list(spec.raw_ids)] = train_id
        return table

    @cached_property
    def _raw_of_train(self) -> UInt16[np.ndarray, "classes"]:
        return np.array([c.raw_ids[0] for c in self.classes], np.uint16)

    def unknown_raw_ids(self, raw: Integer[np.ndarray, "..."]) -> list[int]:
        """Return the ids that the taxonomy does not define, sorted."""
        return [int(i) for i in np.unique(raw) if not 0 <= i < MOST_RAW or self._train_of_raw[i] == len(self)]

    def to_train(self, raw: Integer[np.ndarray, "*shape"], *, source: object = "labels") -> UInt8[np.ndarray, "*shape"]:
        """Convert raw ids to train ids; ``source`` names their file in error messages.

        Raises:
            DataError: an id that the taxonomy does not define.
        """
        in_range = raw.size == 0 or (int(raw.max()) < MOST_RAW and int(raw.min()) >= 0)
        train = self._train_of_raw[raw] if in_range else None
        if train is None or (train == len(self)).any():
            raise DataError(
                f"{source}: expected raw label ids of {self.name} ({self._some_raw_ids()}), found "
                f"{self.unknown_raw_ids(raw)[:5]}. Map other ids to these, or give the taxonomy of the labels."
            )
        return train

    def to_raw(self, train: Integer[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
        """Convert train ids to raw ids, as prediction files contain them."""
        return self._raw_of_train[train]

    @cached_property
    def digest(self) -> str:
        """Digest of the names and raw ids of the classes, in order; equal for taxonomies that match."""
        classes = [(c.name, sorted(c.raw_ids)) for c in self.classes]
        return hashlib.sha256(repr(classes).encode()).hexdigest()[:16]

    def matches(self, other: Self) -> bool:
        """Return whether the classes have the same names and raw ids, in the same order; colours may differ."""
        return self.digest == other.digest

    def to_dict(self) -> dict[str, Any]:
        """Plain values for files and checkpoints; see ``taxonomy_from``."""
        return {"name": self.name, "classes": [plain(c) for c in self.classes]}

    def _some_raw_ids(self) -> str:
        defined = sorted(i for c in self.classes for i in c.raw_ids)
        return ", ".join(map(str, defined)) if len(defined) <= 6 else f"{_list(defined[:3])}, ..., {defined[-1]}"


def load_taxonomy(name: str | Path) -> Taxonomy:
    """Load a packaged taxonomy by its name, or the one of a YAML file.

    Raises:
        ConfigError: an unknown name, or a file that describes no taxonomy.
    """
    return _packaged(str(name)) if str(name) in packaged_taxonomies() else _read(name)


def packaged_taxonomies() -> tuple[str, ...]:
    """Names of the taxonomies in the package."""
    return packaged_names(_PACKAGED)


def taxonomy_from(values: Any, source: str) -> Taxonomy:
    """Build a taxonomy from plain values in one of two forms; ``source`` names their file.

    ``name`` and ``classes``, a list with the attributes of ``ClassSpec``; or a label mapping of the SemanticKITTI tools
    (see ``elite.label_mapping``).

    Raises:
        ConfigError: other values.
    """
    try:
        return _taxonomy_of(values, Path(source).stem)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def _taxonomy_of(values: Any, name: str) -> Taxonomy:
    if isinstance(values, dict) and "labels" in values:
        values = from_label_mapping(values, name)
    return from_plain(Taxonomy, values)


def default_taxonomy(classes: int) -> Taxonomy:
    """Return the taxonomy of a student whose file names none: SemanticKITTI's, or numbers for other counts."""
    if classes == len(kitti := load_taxonomy("semantickitti")):
        return kitti
    names = ("unlabelled", *(f"class {i}" for i in range(1, classes)))
    return Taxonomy(f"{classes - 1} unnamed classes", tuple(ClassSpec(name, (i,)) for i, name in enumerate(names)))


def require_equal_taxonomies(
    model: Taxonomy,
    data: Taxonomy,
    model_name: object,
    remedy: str = "Give a model that was trained on them, or --taxonomy with the classes of the labels.",
) -> None:
    """Check that a model and a data set have the same classes; the error ends with ``remedy``, a sentence.

    Raises:
        ConfigError: they differ; the message names both.
    """
    if model.matches(data):
        return
    differ = [f"'{a}' and '{b}'" for a, b in zip_longest(model.names, data.names, fillvalue="none") if a != b]
    raise ConfigError(
        f"{model_name}: expected the classes of the data, {data.name}, found those of {model.name}"
        f"{f' (such as {differ[0]})' if differ else ' with other raw ids'}. {remedy}"
    )


def _read(name: str | Path) -> Taxonomy:
    description = read_description(name, _PACKAGED, "taxonomy")
    with description.located():
        return _taxonomy_of(description.values, description.path.stem)


_packaged = cache(_read)


# ---- checks -------------------------------------------------------------------------------------------------------


def _check_classes(name: str, classes: tuple[ClassSpec, ...]) -> None:
    if not 2 <= len(classes) <= MOST_CLASSES:
        raise ConfigError(f"{name}: expected 2 to {MOST_CLASSES} classes with the ignored one, found {len(classes)}.")
    if not name.strip() or not name.isprintable():
        raise ConfigError(f"taxonomy: expected a printable name, found {name!r}. Correct the name.")
    ground, names, owner = {c.name for c in classes if c.ground}, set[str](), dict[int, str]()
    for spec in classes:
        if not spec.name.strip() or not spec.name.isprintable():
            raise ConfigError(f"{name}: expected printable class names, found {spec.name!r}. Correct the name.")
        if spec.name in names:
            raise ConfigError(f"{name}: expected class names that differ, found '{spec.name}' twice. Rename one.")
        names.add(spec.name)
        if not spec.raw_ids:
            raise ConfigError(f"{name}: expected raw ids for '{spec.name}', found none. Give at least one.")
        for raw in spec.raw_ids:
            if not 0 <= raw < MOST_RAW:
                raise ConfigError(f"{name}: expected raw ids in 0..{MOST_RAW - 1}, found {raw} in '{spec.name}'.")
            if raw in owner:
                raise ConfigError(
                    f"{name}: expected one class for each raw id, found {raw} in '{owner[raw]}' and in "
                    f"'{spec.name}'. Remove one."
                )
            owner[raw] = spec.name
        if missing := sorted(set(spec.stands_on) - ground):
            raise ConfigError(f"{name}: '{spec.name}' stands on {_list(missing)}, expected ground classes.")
        for color in filter(None, (spec.color, spec.safe_color)):
            if not all(0 <= c <= 255 for c in color):
                raise ConfigError(f"{name}: expected RGB in 0..255 for '{spec.name}', found {color}.")


def _default_color(train_id: int) -> Color:
    """Colours without a name: hues by the golden ratio, which differ for any number of classes; 0 is black."""
    if train_id == IGNORE:
        return 0, 0, 0
    rgb = colorsys.hsv_to_rgb(train_id * 0.618034 % 1, 0.75 - 0.3 * (train_id % 2), 0.95 - 0.25 * (train_id % 3 == 0))
    return tuple(round(255 * c) for c in rgb)  # type: ignore[return-value]


def _list(items: Any) -> str:
    return ", ".join(map(str, items))
