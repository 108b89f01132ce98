"""Program for another Python, one with nuscenes-devkit: ``python -I nuscenes_devkit.py REQUEST.json RESULT.json``.

REQUEST names a data set and lists jobs; RESULT has the answer of the devkit to each of them.
"""

import json
import sys
from typing import Any

from nuscenes import NuScenes
from nuscenes.eval.lidarseg import utils
from nuscenes.eval.lidarseg.evaluate import LidarSegEval
from nuscenes.eval.lidarseg.validate_submission import validate_submission
from nuscenes.utils.splits import create_splits_scenes


def pixels(data: NuScenes, sample: str, camera: str) -> dict[str, Any]:
    """Pixels and depths of the points that the devkit maps into an image."""
    tokens = data.get("sample", sample)["data"]
    points, depths, _ = data.explorer.map_pointcloud_to_image(tokens["LIDAR_TOP"], tokens[camera])
    return {"uv": points[:2].T.tolist(), "depth": depths.tolist()}


def score(data: NuScenes, folder: str, split: str) -> dict[str, Any]:
    """Score of a submission; NaN is None."""
    found = LidarSegEval(data, folder, split).evaluate()
    iou = [None if value != value else float(value) for value in found["iou_per_class"].values()]
    return {"iou": iou, "miou": found["miou"], "fw_iou": found["freq_weighted_iou"]}


def accepts(data: NuScenes, folder: str, split: str) -> dict[str, Any]:
    """Whether a submission is valid, and the reason of a refusal."""
    try:
        validate_submission(data, folder, split)
    except Exception as error:  # assertions, and whatever damaged files cause
        return {"accepted": False, "reason": f"{type(error).__name__}: {error}"}
    return {"accepted": True, "reason": ""}


def main(request: str, result: str) -> None:
    with open(request) as file:
        wanted = json.load(file)
    data = NuScenes(wanted["version"], wanted["root"], verbose=False)
    present = {scene["name"] for scene in data.scene}
    splits = {name: [s for s in scenes if s in present] for name, scenes in create_splits_scenes().items()}
    utils.create_splits_scenes = lambda verbose=False: splits  # its evaluation fails if a scene is absent
    jobs = {"pixels": pixels, "score": score, "accepts": accepts}
    answers = [jobs[job](data, *arguments) for job, *arguments in wanted["jobs"]]
    with open(result, "w") as file:
        json.dump({"answers": answers, "splits": create_splits_scenes()}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
