"""Fields of points: their types, and the names of known layouts."""

from collections.abc import Iterable

from elite.inspection.records import FieldReport
from elite.point_files import ANSWER_FIELDS, PointFields
from elite.recordings import PointCloud2
from elite.recordings.point_cloud2 import type_name

# Fields of each layout in any order, as the drivers of the sensors publish them.
_LAYOUTS = {
    "XYZ": "x y z",
    "XYZI": "x y z intensity",
    "XYZIR": "x y z intensity ring",
    "XYZIRC": "x y z intensity return_type channel",
    "XYZIRADRT": "x y z intensity ring azimuth distance return_type time_stamp",
    "XYZIRCAEDT": "x y z intensity return_type channel azimuth elevation distance time_stamp",
    "Ouster": "x y z intensity t reflectivity ring ambient range",
    "Ouster (near_ir)": "x y z intensity t reflectivity ring near_ir range",
    "Ouster (noise)": "x y z intensity t reflectivity ring noise range",
    "Velodyne": "x y z intensity ring time",
    "Hesai or RoboSense": "x y z intensity ring timestamp",
    "Livox": "x y z intensity tag line timestamp",
    "KITTI": "x y z remission",
}
_BY_FIELDS = {frozenset(names.split()): layout for layout, names in _LAYOUTS.items()}


def layout_of(names: Iterable[str]) -> str | None:
    """Name of the layout with exactly these fields, or with labels of the library besides; None = an unknown one."""
    found, labels = frozenset(name.lower() for name in names), frozenset(ANSWER_FIELDS)
    if labels <= found and (layout := _BY_FIELDS.get(found - labels)) is not None:
        return f"{layout} with {', '.join(ANSWER_FIELDS)}"
    return _BY_FIELDS.get(found)


def fields_of_cloud(cloud: PointCloud2) -> tuple[FieldReport, ...]:
    """Fields of a message, in its order."""
    return tuple(FieldReport(f.name, type_name(f.datatype), f.offset, max(f.count, 1)) for f in cloud.fields)


def fields_of_file(fields: PointFields) -> tuple[FieldReport, ...]:
    """Fields of a decoded file."""
    return tuple(FieldReport(name, str(values.dtype)) for name, values in fields.values.items())
