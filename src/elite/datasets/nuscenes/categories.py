"""Categories of nuScenes-lidarseg, by which its label files number the classes."""

from pathlib import Path
from typing import Any

from elite.datasets.nuscenes.table_rows import each_row, text_of
from elite.errors import DataError

# Categories of nuScenes-lidarseg in the order of the ids in its label files. The tables of the detection challenge have
# 23 of them without ids, in another order.
CATEGORIES = (
    *("noise", "animal", "human.pedestrian.adult", "human.pedestrian.child", "human.pedestrian.construction_worker"),
    *("human.pedestrian.personal_mobility", "human.pedestrian.police_officer", "human.pedestrian.stroller"),
    *("human.pedestrian.wheelchair", "movable_object.barrier", "movable_object.debris"),
    *("movable_object.pushable_pullable", "movable_object.trafficcone", "static_object.bicycle_rack"),
    *("vehicle.bicycle", "vehicle.bus.bendy", "vehicle.bus.rigid", "vehicle.car", "vehicle.construction"),
    *("vehicle.emergency.ambulance", "vehicle.emergency.police", "vehicle.motorcycle", "vehicle.trailer"),
    *("vehicle.truck", "flat.driveable_surface", "flat.other", "flat.sidewalk", "flat.terrain", "static.manmade"),
    *("static.other", "static.vegetation", "vehicle.ego"),
)


def check_categories(folder: Path) -> None:
    """Check that category.json has the categories of nuScenes-lidarseg, with their ids.

    Raises:
        DataError: it does not, as that of the detection challenge.
    """
    path, found = folder / "category.json", dict[int, str]()

    def add(row: dict[str, Any]) -> None:
        if "index" in row:
            found[row["index"]] = text_of(row, "name")

    each_row(path, add)
    if found != dict(enumerate(CATEGORIES)):
        wrong = [f"{i} is {found.get(i, 'missing')}" for i, name in enumerate(CATEGORIES) if found.get(i) != name]
        raise DataError(
            f"{path}: expected the {len(CATEGORIES)} categories of nuScenes-lidarseg with 'index', found {len(found)} "
            f"with 'index' ({', '.join(wrong[:3]) or 'more than these'}). Replace it by that of the nuScenes-lidarseg "
            "archive."
        )
