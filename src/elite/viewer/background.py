"""Slow work out of the way: results by key, made one after the other in a thread."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from elite.errors import EliteError

PATIENCE = 3.0  # seconds to wait for threads at the end; a file on a storage that does not answer keeps one for ever

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Result(Generic[Value]):
    """What was made, or the fault of the data that kept it from being made."""

    value: Value | None
    fault: str = ""


class Background(Generic[Key, Value]):
    """What ``make`` gives for the keys that were asked for last, made in their order; the newest ``keep`` are kept.

    An error of the user's data is a result like any other. Any other exception is a fault of the program: it goes to
    ``failed`` and ends the thread.

    Args:
        done: called, in the thread, when a result is there.
    """

    def __init__(
        self,
        make: Callable[[Key], Value],
        *,
        keep: int,
        done: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._make, self._keep, self._done, self._failed = make, keep, done, failed
        self._results: OrderedDict[Key, Result[Value]] = OrderedDict()
        self._wanted: list[Key] = []
        self._making: Key | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def ask(self, keys: Iterable[Key]) -> None:
        """Make these next, instead of what was asked for before and has not been begun."""
        with self._changed:
            self._wanted = [key for key in keys if key not in self._results and key != self._making]
            self._changed.notify()

    def get(self, key: Key) -> Result[Value] | None:
        """The result, once it is there."""
        with self._changed:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def close(self) -> None:
        """Make nothing more. Does not wait for what is being made."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout_s: float = PATIENCE) -> None:
        """Wait until the thread has ended, or for ``timeout_s``. It cannot keep the program from ending."""
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (key := self._next()) is not None:
            try:
                result = Result(self._make(key))
            except EliteError as error:
                result = Result(None, str(error))
            except Exception as error:
                self._failed(error)
                return
            with self._changed:
                self._results[key], self._making = result, None
                while len(self._results) > self._keep:
                    self._results.popitem(last=False)
            self._done()

    def _next(self) -> Key | None:
        """The key to make now; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._closed)
            self._making = None if self._closed else self._wanted.pop(0)
            return self._making
