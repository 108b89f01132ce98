"""How a signal stops a run: at once where nothing is lost by it, otherwise as soon as the work in hand is done.

Any training loop can use this module: it declares when it is ``busy`` and waits for its batches inside of ``wait``.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from elite.signals import Terminated, call_on_signal

# SLURM announces pre-emption with the last two if a job asks for it (--signal=USR1@60).
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
GRACE = 5.0  # seconds for a batch that completes a step, once a signal has arrived


class Stopping:
    """The first of ``SIGNALS`` raises Terminated, a second one ends the process at once.

    Attributes:
        number: the signal that arrived, None before.
        busy: a step or a file is in hand: a signal is only recorded, and honoured by the next ``wait``.
        resting: a wait may be left at once. Otherwise (in the middle of an accumulated step, or of a step that several
            processes share) the batch has ``GRACE`` seconds left to arrive.
        left: the last wait ended with an exception.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.busy = False
        self.resting = True
        self.left = False
        self._waiting = False
        self._too_late: Callable[[], Exception] = TimeoutError
        self._handlers: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals within the block, in the main thread; signals that are ignored (nohup) stay ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python handles signals in the main thread only
            return
        with call_on_signal(self._arrived, SIGNALS):
            alarm = signal.signal(signal.SIGALRM, self._expired)
            self._handlers = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
            try:
                yield
            finally:
                self._handlers = {}
                signal.signal(signal.SIGALRM, signal.SIG_DFL if alarm is None else alarm)

    def claim(self) -> None:
        """Take the signals back from a library that has installed handlers of its own within ``listening``."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def request(self) -> None:
        """Stop at the next ``wait``, whether this process has received a signal or another one of its run."""
        self.number = self.number or signal.SIGTERM
        self.resting = True

    @contextmanager
    def wait(self, limit: float, too_late: Callable[[], Exception]) -> Iterator[None]:
        """A block that may wait for a file or for another process, and that a signal may interrupt.

        Args:
            limit: seconds after which ``too_late()`` is raised; 0 = no limit.

        Raises:
            Terminated: a signal arrived, in the block or before it.
        """
        self._too_late, self._waiting, self.left = too_late, True, False
        try:
            if self.number is not None and self.resting:
                raise Terminated(self.number)
            self._set_alarm(limit if self.number is None else GRACE)
            yield
        except BaseException:
            self.left = True
            raise
        finally:
            self._waiting = False
            self._set_alarm(0)
            self._too_late = TimeoutError  # holds nothing that its owner wants to free

    def _set_alarm(self, seconds: float) -> None:
        if self._handlers:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _arrived(self, number: int) -> None:
        self.number = number
        if self._waiting and not self.resting:
            self._set_alarm(GRACE)
        elif self._waiting or not self.busy:
            self._waiting = False
            raise Terminated(number)

    def _expired(self, _number: int, _frame: FrameType | None) -> None:
        if self._waiting:
            self._waiting = False
            raise self._too_late() if self.number is None else Terminated(self.number)
