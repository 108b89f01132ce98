"""Stop a run at a signal: immediately if no work is lost, otherwise after the current step or file.

Any training loop can use this module. It sets ``busy`` during a step and waits for its batches within ``wait``.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from elite.signals import Terminated, call_on_signal

# SLURM can announce pre-emption by SIGUSR1 or SIGUSR2 (--signal=USR1@60).
SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
GRACE = 5.0  # seconds that a batch for an incomplete step may take after a signal


class Stopping:
    """Raise Terminated at the first of ``SIGNALS``. A second signal ends the process immediately.

    Attributes:
        number: number of the signal that has arrived, or None.
        busy: whether a step is computed or a file is written. A signal then takes effect in the next ``wait``.
        interruptible: whether a signal ends a wait immediately. Otherwise (within an accumulated step, or a step that
            several processes share), the batch may still arrive within ``GRACE`` seconds.
        wait_failed: whether the last wait ended with an exception.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.busy = False
        self.interruptible = True
        self.wait_failed = False
        self._waiting = False
        self._timeout_error: Callable[[], Exception] = TimeoutError
        self._is_listening = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals within the block, in the main thread. Ignored signals (nohup) stay ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python handles signals in the main thread only
            return
        with call_on_signal(self._arrived, SIGNALS):
            alarm = signal.signal(signal.SIGALRM, self._expired)
            self._is_listening = True
            try:
                yield
            finally:
                self._is_listening = False
                signal.signal(signal.SIGALRM, signal.SIG_DFL if alarm is None else alarm)

    def request(self) -> None:
        """Stop at the next ``wait``, also if only another process of the run has received a signal."""
        self.number = self.number or signal.SIGTERM
        self.interruptible = True

    @contextmanager
    def wait(self, limit: float, timeout_error: Callable[[], Exception]) -> Iterator[None]:
        """Run a block that may wait for a file or another process, and that a signal may interrupt.

        Args:
            limit: seconds until ``timeout_error()`` is raised; 0 = no limit.
            timeout_error: returns the exception to raise.

        Raises:
            Terminated: a signal has arrived, before or within the block.
        """
        self._timeout_error, self._waiting, self.wait_failed = timeout_error, True, False
        try:
            if self.number is not None and self.interruptible:
                raise Terminated(self.number)
            self._set_alarm(limit if self.number is None else GRACE)
            yield
        except BaseException:
            self.wait_failed = True
            raise
        finally:
            self._waiting = False
            self._set_alarm(0)
            self._timeout_error = TimeoutError  # releases the objects that the function refers to

    def _set_alarm(self, seconds: float) -> None:
        if self._is_listening:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _arrived(self, number: int) -> None:
        self.number = number
        if self._waiting and not self.interruptible:
            self._set_alarm(GRACE)
        elif self._waiting or not self.busy:
            self._waiting = False
            raise Terminated(number)

    def _expired(self, _number: int, _frame: FrameType | None) -> None:
        if self._waiting:
            self._waiting = False
            raise self._timeout_error() if self.number is None else Terminated(self.number)
