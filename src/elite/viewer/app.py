"""The viewer: one thread draws the current choice; others read, predict and score frames."""

import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
import viser

from elite.viewer.background import PATIENCE
from elite.viewer.cloud import pick
from elite.viewer.frame_cache import FrameCache, FrameState
from elite.viewer.gate import GuardedServer
from elite.viewer.keys import bind
from elite.viewer.painter import WORST, Painter
from elite.viewer.panel import Choice, Panel
from elite.viewer.scene_view import ABOVE, BEHIND, SceneView
from elite.viewer.source import Source

_REST = 0.5  # seconds between two checks for new results


class Viewer:
    """A window for any number of browsers, which all show the same. Use it as a context manager.

    Args:
        source: frames.
        server: server of the window.
        choice: initial values of the controls.
        live: frames are added while it runs, and the newest one is shown.

    Attributes:
        shown: last frame that was drawn completely; -1 before the first.
    """

    def __init__(self, source: Source, server: GuardedServer, choice: Choice, *, live: bool = False) -> None:
        self.source, self.server, self.choice, self.live = source, server, choice, live
        self.failure: Exception | None = None
        self.shown = -1
        self._wake, self._ended = threading.Event(), threading.Event()
        self._advanced = 0.0  # when the frame changed last
        self.cache = FrameCache(source, self.wake, self._fail)
        self.scene = SceneView(server)
        actions = {
            "frame": lambda: self.go_to(self._span()[0] + int(self.panel.frame.value)),
            "sequence": lambda: self.go_to(self._span(self.panel.sequence.value)[0]),
            "play": self.play,
            "next": lambda: self.step(1),
            "previous": lambda: self.step(-1),
            "rank": self._rank,
            "next_worst": self.next_worst,
            "behind": lambda: self.scene.move_camera(*BEHIND),
            "above": lambda: self.scene.move_camera(*ABOVE),
        }
        self.panel = Panel(server, choice, source, live, self.wake, actions)
        self.painter = Painter(self.scene, self.panel, self.cache)
        bind(server, self.panel, actions)
        server.scene.on_click()(self._click)
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self.wake()
        self._thread.join(PATIENCE)
        self.cache.close()
        self.server.stop()
        if self.failure is not None and error is None:
            raise self.failure

    @property
    def url(self) -> str:
        """Address for a browser, with the token if one is required."""
        return self.server.url

    def wait(self) -> None:
        """Wait until the viewer is interrupted or fails."""
        self._ended.wait()

    def wake(self) -> None:
        """Draw changes."""
        self._wake.set()

    # Actions, for the controls and for programs.

    def go_to(self, i: int) -> None:
        """Show frame ``i`` of all sequences, or the nearest existing one, and stop following new frames."""
        if self.choice.follow:
            self.panel.toggle("follow")
        self.choice.index = min(max(i, 0), max(len(self.source.ids) - 1, 0))
        self._advanced = time.monotonic()
        self.wake()

    def step(self, by: int) -> None:
        """Move by some frames within the sequence, and wrap around at its ends."""
        first, count = self._span()
        if count:
            self.go_to(first + (self.choice.index - first + by) % count)

    def play(self) -> None:
        self.choice.playing = not self.choice.playing
        self.wake()

    def next_worst(self) -> None:
        """Show the next of the worst frames, starting with the worst."""
        if not self.choice.ranking:
            self._rank()
        places = [i for i, _ in self.cache.ranking()[0][:WORST]]
        if places:
            at = places.index(self.choice.index) + 1 if self.choice.index in places else 0
            self.go_to(places[at % len(places)])

    def _rank(self) -> None:
        self.choice.ranking = True
        self.cache.rank()
        self.wake()

    def _click(self, event: viser.SceneClickEvent) -> None:
        frame, points, rows = self.painter.drawn
        found = pick(points, np.array(event.ray_origin), np.array(event.ray_direction))
        self.choice.picked = None if found is None else (frame, int(rows[found]))
        self.wake()

    # Drawing thread.

    def _work(self) -> None:
        try:
            while not self._ended.is_set():
                self._wake.clear()
                state = self._draw()
                self._wake.wait(self._until_next(state))
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Store the exception for the main thread, and stop."""
        self.failure = self.failure or error
        self._ended.set()
        self.wake()

    def _draw(self) -> FrameState:
        if self.live and self.choice.follow and self.source.ids:
            self.choice.index = len(self.source.ids) - 1
        choice = replace(self.choice)  # a copy: it may change while it is drawn
        i, ids = choice.index, self.source.ids
        first, count = self._span(ids[i][0] if ids else None)
        following = [first + (i - first + k) % count for k in range(1, min(count, 4))]
        state = self.cache.frame(i, following) if count else FrameState(complete=True)
        with self.server.atomic():  # the page is drawn once for all changes
            self.panel.place(i - first, count, ids[first][0] if count else "", choice.playing)
            self.painter.paint(state, choice)
        if state.complete:
            self.shown = i
        return state

    def _until_next(self, state: FrameState) -> float:
        """Seconds to wait; moves to the next frame when it is time."""
        if not self.choice.playing or not state.complete:
            return _REST
        left = self._advanced + 1 / max(self.choice.rate, 0.1) - time.monotonic()  # a page may send any rate
        if left > 0:
            return left
        self.step(1)
        return 0.0

    def _span(self, sequence: str | None = None) -> tuple[int, int]:
        """(first frame, number of frames) of a sequence; None = the current one."""
        ids = self.source.ids
        if not ids:
            return 0, 0
        wanted = sequence or ids[self.choice.index][0]
        rows = [i for i, (name, _) in enumerate(ids) if name == wanted]
        return rows[0], len(rows)
