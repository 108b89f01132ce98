"""The viewer: one thread draws what was chosen last, others read, label and score frames meanwhile."""

import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
import viser

from elite.viewer.background import PATIENCE
from elite.viewer.gate import GuardedServer
from elite.viewer.keys import bind
from elite.viewer.layers import pick
from elite.viewer.painter import WORST, Painter
from elite.viewer.panel import Choice, Panel
from elite.viewer.shelf import Shelf, Shown
from elite.viewer.source import Source
from elite.viewer.stage import ABOVE, BEHIND, Stage

_REST = 0.5  # seconds between two looks at what a thread may have left


class Viewer:
    """A window on a source, for as many browsers as come; all of them see the same. Use it as a context.

    Attributes:
        shown: the last frame that was drawn with all that is known of it; -1 before the first.

    Args:
        choice: what is shown first.
        live: frames are added while it runs, and the newest is followed.
    """

    def __init__(self, source: Source, server: GuardedServer, choice: Choice, *, live: bool = False) -> None:
        self.source, self.server, self.choice, self.live = source, server, choice, live
        self.failure: Exception | None = None
        self.shown = -1
        self._wake, self._ended = threading.Event(), threading.Event()
        self._advanced = 0.0  # when the frame changed last
        self.shelf = Shelf(source, self.wake, self._fail)
        self.stage = Stage(server)
        actions = {
            "frame": lambda: self.go_to(self._span()[0] + int(self.panel.frame.value)),
            "sequence": lambda: self.go_to(self._span(self.panel.sequence.value)[0]),
            "play": self.play,
            "next": lambda: self.step(1),
            "previous": lambda: self.step(-1),
            "rank": self._rank,
            "next_worst": self.next_worst,
            "behind": lambda: self.stage.look(*BEHIND),
            "above": lambda: self.stage.look(*ABOVE),
        }
        self.panel = Panel(server, choice, source, live, self.wake, actions)
        self.painter = Painter(self.stage, self.panel, self.shelf)
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
        self.shelf.close()
        self.server.stop()
        if self.failure is not None and error is None:
            raise self.failure

    @property
    def url(self) -> str:
        """The address for a browser, with the token if one is required."""
        return self.server.url

    def wait(self) -> None:
        """Until it is interrupted, or fails."""
        self._ended.wait()

    def wake(self) -> None:
        """Draw what has changed."""
        self._wake.set()

    # What can be done with it, from the window or from a program.

    def go_to(self, i: int) -> None:
        """Show frame ``i`` of all sequences; the nearest one that there is. Newer ones are no longer followed."""
        if self.choice.follow:
            self.panel.toggle("follow")
        self.choice.index = min(max(i, 0), max(len(self.source.ids) - 1, 0))
        self._advanced = time.monotonic()
        self.wake()

    def step(self, by: int) -> None:
        """Some frames on, within the sequence and round at its ends."""
        first, count = self._span()
        if count:
            self.go_to(first + (self.choice.index - first + by) % count)

    def play(self) -> None:
        self.choice.playing = not self.choice.playing
        self.wake()

    def next_worst(self) -> None:
        """The next of the worst frames, the worst one first."""
        if not self.choice.ranking:
            self._rank()
        places = [i for i, _ in self.shelf.ranking()[0][:WORST]]
        if places:
            at = places.index(self.choice.index) + 1 if self.choice.index in places else 0
            self.go_to(places[at % len(places)])

    def _rank(self) -> None:
        self.choice.ranking = True
        self.shelf.rank()
        self.wake()

    def _click(self, event: viser.SceneClickEvent) -> None:
        frame, points, rows = self.painter.drawn
        found = pick(points, np.array(event.ray_origin), np.array(event.ray_direction))
        self.choice.picked = None if found is None else (frame, int(rows[found]))
        self.wake()

    # The thread that draws.

    def _work(self) -> None:
        try:
            while not self._ended.is_set():
                self._wake.clear()
                now = self._draw()
                self._wake.wait(self._until_next(now))
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Keep what went wrong for whoever waits, and end."""
        self.failure = self.failure or error
        self._ended.set()
        self.wake()

    def _draw(self) -> Shown:
        if self.live and self.choice.follow and self.source.ids:
            self.choice.index = len(self.source.ids) - 1
        choice = replace(self.choice)  # it may change meanwhile, and then all is drawn again
        i, ids = choice.index, self.source.ids
        first, count = self._span(ids[i][0] if ids else None)
        following = [first + (i - first + k) % count for k in range(1, min(count, 4))]
        now = self.shelf.frame(i, following) if count else Shown(complete=True)
        with self.server.atomic():  # the page draws once for all that has changed
            self.panel.place(i - first, count, ids[first][0] if count else "", choice.playing)
            self.painter.paint(now, choice)
        if now.complete:
            self.shown = i
        return now

    def _until_next(self, now: Shown) -> float:
        """Seconds to wait; goes on to the next frame when it is time."""
        if not self.choice.playing or not now.complete:
            return _REST
        left = self._advanced + 1 / max(self.choice.rate, 0.1) - time.monotonic()  # a page may send any rate
        if left > 0:
            return left
        self.step(1)
        return 0.0

    def _span(self, sequence: str | None = None) -> tuple[int, int]:
        """(first frame, number of frames) of a sequence, the one that is shown if it is not named."""
        ids = self.source.ids
        if not ids:
            return 0, 0
        wanted = sequence or ids[self.choice.index][0]
        rows = [i for i, (name, _) in enumerate(ids) if name == wanted]
        return rows[0], len(rows)
