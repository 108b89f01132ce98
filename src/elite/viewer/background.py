"""Background thread that computes results by key, one after the other."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from elite.errors import EliteError

PATIENCE = 3.0  # seconds to wait for threads at the end; reading from unresponsive storage may never end

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Result(Generic[Value]):
    """A value, or the error of the data."""

    value: Value | None
    fault: str = ""


class Background(Generic[Key, Value]):
    """Results of ``make`` for the keys of the latest request, in their order; the newest ``keep`` are cached.

    An EliteError is a result. Any other exception is passed to ``failed`` and ends the thread.

    Args:
        make: computes the result of a key.
        keep: number of cached results.
        done: called in the thread when a result is available.
        failed: called in the thread with an exception that is not an EliteError.
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

    def request(self, keys: Iterable[Key]) -> None:
        """Replace earlier requests that have not started."""
        with self._changed:
            self._wanted = [key for key in keys if key not in self._results and key != self._making]
            self._changed.notify()

    def get(self, key: Key) -> Result[Value] | None:
        """Return the result, or None if it is not available yet."""
        with self._changed:
            if key in self._results:
                self._results.move_to_end(key)
            return self._results.get(key)

    def close(self) -> None:
        """Stop after the current result, without waiting for it."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def join(self, timeout_s: float = PATIENCE) -> None:
        """Wait for the end of the thread, at most ``timeout_s``; a running thread does not block the exit."""
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
        """Next key; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._closed)
            self._making = None if self._closed else self._wanted.pop(0)
            return self._making
