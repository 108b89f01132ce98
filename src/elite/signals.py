"""Signals that stop a command: the first one raises an exception, a second one ends the process immediately.

Any loop can use this module: it does not depend on a training framework.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGHUP)
Action = Callable[[int], None]
_raised: list[int] = []  # signals whose exceptions were raised within the present ``raise_on_signal``


class Terminated(BaseException):
    """SIGTERM or SIGHUP arrived. Not an Exception, so that a handler of faulty data cannot swallow it.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number

    @property
    def status(self) -> int:
        """Exit status of a shell for this signal: 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """Within the block, the first SIGTERM or SIGHUP raises Terminated and the first SIGINT KeyboardInterrupt.

    A second signal ends the process immediately, without clean-up.
    """
    try:
        with _handled(dict.fromkeys((signal.SIGINT, *STOPPING), _first)):
            yield
    finally:
        _raised.clear()


def raise_again() -> None:
    """Raise the exception of a signal that has arrived within ``raise_on_signal``.

    Waits without end call this first: an import or C code may have swallowed the exception.
    """
    if _raised:
        _stop(_raised[0])


@contextmanager
def call_on_signal(action: Action, signals: tuple[signal.Signals, ...] = STOPPING) -> Iterator[None]:
    """Within the block, the first of ``signals`` calls ``action(number)`` in the main thread; the action may raise.

    A second signal ends the process immediately, without clean-up.
    """
    with _handled(dict.fromkeys(signals, action)):
        yield


@contextmanager
def _handled(actions: dict[signal.Signals, Action]) -> Iterator[None]:
    """Install the actions, and restore the previous handlers at the end. Ignored signals (nohup) stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only
        return
    owner, received = os.getpid(), False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal received
        if received or os.getpid() != owner:  # a forked child has inherited this handler and has nothing to save
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        received = True
        actions[signal.Signals(number)](number)

    before = {number: signal.getsignal(number) for number in actions}
    for number in [n for n, handler in before.items() if handler is not signal.SIG_IGN]:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _first(number: int) -> None:
    _raised.append(number)
    _stop(number)


def _stop(number: int) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
