"""Progress: a bar on a terminal, plain lines elsewhere."""

import io

import pytest

from elite import terminal
from elite.terminal import progress, progress_bar


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Seconds since the start, which a test changes."""
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_progress_without_terminal_prints_plain_lines_every_ten_seconds(clock: list[float], capsys) -> None:
    for _ in progress(range(100), name="predict"):
        clock[0] += 0.5
    *lines, last = capsys.readouterr().err.splitlines()
    assert lines[0] == "predict: 20/100 scans, 2 scans/s, 0:40 left"
    assert len(lines) == 5
    assert last == "predict: 100/100 scans in 0:50"


def test_progress_of_unknown_total_prints_no_time_left(clock: list[float], capsys) -> None:
    with progress_bar(None, unit="frame", name="render") as advance:
        clock[0] = 10
        advance(0)
        clock[0] = 7200
        advance(3600)
    assert capsys.readouterr().err.splitlines() == [
        "render: 0 frames",
        "render: 3600 frames, 0.5 frames/s",
        "render: 3600 frames in 2:00:00",
    ]


def test_progress_that_is_disabled_or_interrupted_prints_no_last_line(capsys) -> None:
    with progress_bar(2, unit="scan", name="predict", enabled=False) as advance:
        advance(2)
    with pytest.raises(KeyboardInterrupt), progress_bar(3, unit="scan", name="predict"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""


def test_progress_on_a_terminal_is_a_bar(monkeypatch) -> None:
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", screen)
    assert list(progress(range(3), name="predict")) == [0, 1, 2]
    assert "\r" in screen.getvalue()
    assert "3/3" in screen.getvalue()
