"""Cache of frames, predictions, maps and scores, which threads fill in the background."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from elite.metrics import Score
from elite.viewer.background import PATIENCE, Background, Result
from elite.viewer.cloud import Cloud, PointPrediction
from elite.viewer.predictors import TeacherPrediction
from elite.viewer.source import Scene, SequenceMap, Source

_AHEAD = 3  # frames that are read ahead
_KEPT = 24  # frames of at most two images: 120,000 points with logits and two images need about 15 MB each


@dataclass(frozen=True, eq=False)
class FrameState:
    """The available parts of a frame. Without a scene, it is being read or ``fault`` is the error.

    Attributes:
        fault: error of the frame or of its prediction.
        complete: no more parts will follow.
    """

    scene: Scene | None = None
    cloud: Cloud | None = None
    fault: str = ""
    complete: bool = False


class FrameCache:
    """Slow results of a source. Each method returns immediately and requests missing results.

    Args:
        done: called when a new result is available.
        failed: called with an exception that is not an error of the data; no results follow.
    """

    def __init__(self, source: Source, done: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self.source = source
        open_ = partial(Background[Any, Any], done=done, failed=failed)
        self._scenes = open_(source.read, keep=max(_AHEAD + 2, 2 * _KEPT // max(2, len(source.cameras))))
        self._predictions = open_(source.predict, keep=_KEPT)
        self._teacher = open_(lambda key: source.predict_teacher(*key), keep=8)
        self._maps = open_(source.sequence_map, keep=2)
        self._scores = open_(source.score, keep=1_000_000)
        self._last: tuple[tuple[object, ...], FrameState] = (), FrameState()

    def frame(self, i: int, following: list[int]) -> FrameState:
        """State of frame ``i``; ``following`` are the next frames, which are read ahead."""
        ahead = [i, *following[:_AHEAD]]
        self._scenes.request(ahead)
        if self.source.has_predictions:
            self._predictions.request(ahead[:2])
        scene, prediction = self._scenes.get(i), self._predictions.get(i)
        key = (i, id(scene), id(prediction))
        if key != self._last[0]:
            self._last = key, self._assemble(scene, prediction)
        return self._last[1]

    def _assemble(self, scene: Result[Scene] | None, prediction: Result[PointPrediction | None] | None) -> FrameState:
        if scene is None:
            return FrameState()
        if scene.value is None:
            return FrameState(fault=scene.fault, complete=True)
        complete = prediction is not None or not self.source.has_predictions
        if prediction is None:
            return FrameState(scene.value, scene.value.cloud(None), "", complete)
        return FrameState(scene.value, scene.value.cloud(prediction.value), prediction.fault, complete)

    def predict_teacher(self, i: int, camera: str) -> Result[TeacherPrediction] | None:
        """Prediction of the teacher for one image; None until it is available."""
        self._teacher.request([(i, camera)])
        return self._teacher.get((i, camera))

    def sequence_map(self, sequence: str) -> Result[SequenceMap] | None:
        self._maps.request([sequence])
        return self._maps.get(sequence)

    def rank(self) -> None:
        """Request the scores of all labelled frames."""
        self._scores.request(self.source.labelled())

    def ranking(self) -> tuple[list[tuple[int, Score]], int, int]:
        """(frames with their score, in ascending mean IoU; number of processed frames; number of frames)."""
        labelled = self.source.labelled() if self.source.has_predictions else []
        found = {i: result for i in labelled if (result := self._scores.get(i)) is not None}
        scored = [(i, result.value) for i, result in found.items() if result.value is not None]
        return sorted(scored, key=lambda row: row[1].miou_present), len(found), len(labelled)

    def close(self) -> None:
        """Stop, and wait for the threads for at most ``PATIENCE`` seconds in total."""
        works = self._scenes, self._predictions, self._teacher, self._maps, self._scores
        deadline = time.monotonic() + PATIENCE
        for work in works:
            work.close()
        for work in works:
            work.join(max(0.0, deadline - time.monotonic()))
