"""Frames at hand: what is shown now, what will be shown next, and what was asked for beside it, made in threads."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from elite.metrics import Score
from elite.viewer.answers import Taught
from elite.viewer.background import PATIENCE, Background, Result
from elite.viewer.layers import Answer, Cloud
from elite.viewer.source import Scene, Source, Street

_AHEAD = 3  # frames that are read before they are asked for
_KEPT = 24  # frames of 120,000 points with logits and two images take about 15 MB each


@dataclass(frozen=True, eq=False)
class Shown:
    """A frame as far as it is known: without a scene it is being read, or ``fault`` tells why it cannot be.

    ``fault`` may also be of the student's answer. ``complete`` = nothing more will come.
    """

    scene: Scene | None = None
    cloud: Cloud | None = None
    fault: str = ""
    complete: bool = False


class Shelf:
    """Everything slow about a source. Each method answers at once with what is there, and has the rest made.

    Args:
        done: called when something new is there.
        failed: takes an exception that is no fault of the data; nothing more comes after it.
    """

    def __init__(self, source: Source, done: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        self.source = source
        open_ = partial(Background[Any, Any], done=done, failed=failed)
        self._scenes = open_(source.read, keep=_KEPT)
        self._answers = open_(source.answer, keep=_KEPT)
        self._taught = open_(lambda asked: source.taught(*asked), keep=8)
        self._streets = open_(source.street, keep=2)
        self._scores = open_(source.score, keep=1_000_000)
        self._last: tuple[tuple[object, ...], Shown] = (), Shown()

    def frame(self, i: int, following: list[int]) -> Shown:
        """Frame ``i``; ``following`` are those that come after it."""
        ahead = [i, *following[:_AHEAD]]
        self._scenes.ask(ahead)
        if self.source.answers:
            self._answers.ask(ahead[:2])
        scene, answer = self._scenes.get(i), self._answers.get(i)
        key = (i, id(scene), id(answer))
        if key != self._last[0]:
            self._last = key, self._put_together(scene, answer)
        return self._last[1]

    def _put_together(self, scene: Result[Scene] | None, answer: Result[Answer | None] | None) -> Shown:
        if scene is None:
            return Shown()
        if scene.value is None:
            return Shown(fault=scene.fault, complete=True)
        complete = answer is not None or not self.source.answers
        if answer is None:
            return Shown(scene.value, scene.value.cloud(None), "", complete)
        return Shown(scene.value, scene.value.cloud(answer.value), answer.fault, complete)

    def taught(self, i: int, camera: str) -> Result[Taught] | None:
        """The teacher's answer for one image."""
        self._taught.ask([(i, camera)])
        return self._taught.get((i, camera))

    def street(self, sequence: str) -> Result[Street] | None:
        self._streets.ask([sequence])
        return self._streets.get(sequence)

    def rank(self) -> None:
        """Have all labelled frames scored."""
        self._scores.ask(self.source.labelled())

    def ranking(self) -> tuple[list[tuple[int, Score]], int, int]:
        """(frames that have a score, the worst first; frames looked at; frames to look at)."""
        labelled = self.source.labelled() if self.source.answers else []
        found = {i: result for i in labelled if (result := self._scores.get(i)) is not None}
        scored = [(i, result.value) for i, result in found.items() if result.value is not None]
        return sorted(scored, key=lambda row: row[1].miou_present), len(found), len(labelled)

    def close(self) -> None:
        """Make nothing more, and wait for the threads for at most ``PATIENCE`` seconds in all."""
        works = self._scenes, self._answers, self._taught, self._streets, self._scores
        deadline = time.monotonic() + PATIENCE
        for work in works:
            work.close()
        for work in works:
            work.join(max(0.0, deadline - time.monotonic()))
