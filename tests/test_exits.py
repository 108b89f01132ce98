"""Exit status and messages of commands, signals, and bounded reading and atomic writing of files."""

import ast
import errno
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from elite import errors
from elite.cli import main, parse
from elite.cli.exits import exit_status
from elite.config import TrainConfig
from elite.errors import DataError, StoppedError
from elite.files import atomic_file, file_size, read_file, remove_partial_line, write_bytes
from elite.folder_watch import FolderWatch
from elite.signals import Terminated, raise_on_signal
from elite.terminal import printable, say
from tests.support.settings import parse_settings
from tests.support.waiting import PATIENCE_S


def raising(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (DataError("a file\nis damaged"), 2, "elite: error: a file is damaged"),
        (StoppedError("saved"), 143, "elite: saved"),
        (Terminated(signal.SIGTERM), 143, "elite: stopped by SIGTERM"),
        (Terminated(signal.SIGHUP), 129, "elite: stopped by SIGHUP"),
        (KeyboardInterrupt(), 130, "elite: interrupted"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/a"), 2, "/data/a: expected a file or folder that"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "elite: error: No space left on device"),
        (MemoryError(), 2, "elite: error: not enough memory. "),
        (torch.OutOfMemoryError("CUDA out of memory."), 2, "elite: error: not enough memory on the GPU. "),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "elite: error: not enough memory. "),
        (DataError("\x1b]0;owned\x07"), 2, r"elite: error: \x1b]0;owned\x07"),
    ],
)
def test_exit_status_of_an_outside_cause_is_one_line(error: BaseException, status: int, line: str, capsys) -> None:
    assert exit_status(raising(error)) == status
    printed = capsys.readouterr().err
    assert line in printed
    assert printed.count("\n") == 1


def test_messages_contain_no_raw_text_of_the_system() -> None:
    """It begins with [Errno 2] and ends with the path, which the message has already: ``first_line`` has the reason."""
    raw = []
    for path in Path(errors.__file__).parent.rglob("*.py"):
        for handler in ast.walk(ast.parse(path.read_text())):
            if isinstance(handler, ast.ExceptHandler) and handler.type and "OSError" in ast.unparse(handler.type):
                texts = (ast.unparse(n) for n in ast.walk(handler) if isinstance(n, ast.FormattedValue))
                raw += [(path.name, text) for text in texts if re.search(rf"\{{(str\()?{handler.name}\b(?!\.)", text)]
    assert not raw


def test_check_of_a_missing_zip_states_what_is_expected(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    assert main(["submit", str(tiny_kitti), "--check", str(tmp_path / "none.zip")]) == 2
    assert f"{tmp_path / 'none.zip'}: expected a zip file, found no such file or folder." in capsys.readouterr().err


@pytest.mark.parametrize("error", [ZeroDivisionError(), RuntimeError("a size does not match")])
def test_exit_status_of_a_program_error_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        exit_status(raising(error))


def test_exit_status_prints_a_warning_as_one_line(capsys) -> None:
    def run() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("the values\nare odd", RuntimeWarning, stacklevel=1)
        return 0

    assert exit_status(run) == 0
    assert capsys.readouterr().err == "elite: warning: the values are odd\n"


def elite(*argv: object, **streams: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "elite", *map(str, argv)], **streams)  # type: ignore[call-overload]


def test_main_with_a_closed_pipe_ends_quietly_with_141() -> None:
    """The reader is gone before anything is printed, as ``head`` is after its lines."""
    reading, writing = os.pipe()
    process = elite("--help", stdout=writing, stderr=subprocess.PIPE)
    os.close(reading)
    os.close(writing)
    assert process.communicate(timeout=PATIENCE_S)[1] == b""
    assert process.returncode == 141


def test_main_with_a_full_disk_behind_stdout_ends_with_2() -> None:
    with open("/dev/full", "wb") as full:
        process = elite("--help", stdout=full, stderr=subprocess.PIPE)
    assert process.communicate(timeout=PATIENCE_S)[1] == b"elite: error: No space left on device. Free the disk.\n"
    assert process.returncode == 2


def test_check_without_standard_streams_does_its_work(tiny_kitti: Path, tmp_path: Path) -> None:
    """A service may start it without stdout and stderr; no file may take their numbers."""
    command = f'exec "{sys.executable}" -m elite check "{tiny_kitti}" --json "{tmp_path}/r.json" >&- 2>&-'
    assert subprocess.run(["sh", "-c", command], timeout=PATIENCE_S).returncode == 0
    assert (tmp_path / "r.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_raise_on_signal_first_signal_raises_and_handlers_return(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Terminated) as caught, raise_on_signal():
        os.kill(os.getpid(), number)
    assert caught.value.status == 128 + number
    assert signal.getsignal(number) is before


def test_signal_whose_exception_was_swallowed_ends_the_next_wait_for_a_file(tmp_path: Path) -> None:
    with FolderWatch(tmp_path, ".bin") as watch, raise_on_signal():
        with suppress(BaseException):  # as some imports and C code do
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Terminated):
            watch.wait(PATIENCE_S)
    with FolderWatch(tmp_path, ".bin") as watch, raise_on_signal():
        watch.wait(0)  # the signal of the block before is forgotten


def test_call_on_signal_second_signal_ends_the_process_at_once() -> None:
    """The first one is only noted; the process that ignores it is gone after the second, without clean-up."""
    code = (
        "import os, signal\n"
        "from elite.signals import call_on_signal\n"
        "with call_on_signal(lambda number: print('noted', flush=True)):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "noted\n")


def test_raise_on_signal_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with raise_on_signal():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain ± text\n\tindented", "plain ± text\n\tindented"),
        ("\x1b[2J\x07\r\x9b", r"\x1b[2J\x07\x0d\x9b"),
        ("F\udcfcr.bin", r"F\xfcr.bin"),
        ("gpj.\u202ebin", r"gpj.\u202ebin"),
    ],
)
def test_printable_escapes_control_characters(text: str, printed: str) -> None:
    assert printable(text) == printed


def test_package_prints_through_say_only() -> None:
    """``print`` writes whatever is in a file; ``say`` escapes it."""
    package = Path(sys.modules["elite"].__file__ or "").parent
    found = [p.name for p in package.rglob("*.py") if " print(" in p.read_text() and p.name != "terminal.py"]
    assert not found


def test_say_escapes_what_the_stream_cannot_encode(monkeypatch) -> None:
    code = "from elite.cli.exits import exit_status; from elite.terminal import say; exit_status(lambda: say('±'))"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, timeout=PATIENCE_S)
    assert done.stdout == b"\\xb1\n"


# ---- files ------------------------------------------------------------------------------------------------------


def test_read_file_refuses_what_would_block_or_never_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**40)
    (tmp_path / "folder").mkdir()
    expected = {"pipe": "a pipe, socket or device", "zero": "a pipe, socket or device", "folder": "Is a directory"}
    expected |= {"huge": "1,099,511,627,776 bytes, more than the limit of 100 bytes"}
    before = len(os.listdir("/proc/self/fd"))
    for name, message in expected.items():
        with pytest.raises(OSError, match=message):
            read_file(tmp_path / name, 100)
        with pytest.raises(OSError, match=message):
            file_size(tmp_path / name, 100)
    assert len(os.listdir("/proc/self/fd")) == before


def test_package_reads_files_through_bounded_readers_only() -> None:
    """``read_file`` and ``open_regular`` neither wait for a pipe nor read without end."""
    package = Path(sys.modules["elite"].__file__ or "").parent
    unbounded = ("read_text(", "read_bytes(", ".fromfile(", "ZipFile(path", "path.open()")
    own = {"native/loader.py", "environment.py", "files.py"}  # files of this machine, and one just written
    found = {
        f"{path.relative_to(package)}: {call}"
        for path in package.rglob("*.py")
        for call in unbounded
        if call in path.read_text() and str(path.relative_to(package)) not in own
    }
    assert not found


@pytest.mark.parametrize(
    ("content", "kept"), [(b"a\r\nb\r\n", b"a\r\nb\r\n"), (b"a\nb", b"a\n"), (b"a", b""), (b"", b"")]
)
def test_remove_partial_line_keeps_complete_lines(tmp_path: Path, content: bytes, kept: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    remove_partial_line(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == kept


def test_atomic_file_needs_no_chmod(tmp_path: Path, monkeypatch) -> None:
    """exFAT, SMB and blob storage refuse it."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, refused)
    umask = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"1", verify=True)
    finally:
        os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_atomic_file_accepts_storage_without_fsync(number: int, tmp_path: Path, monkeypatch) -> None:
    def refused(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refused)
    with atomic_file(tmp_path / "a") as file:
        file.write(b"1")
    assert (tmp_path / "a").read_bytes() == b"1"


# ---- outputs that are inputs --------------------------------------------------------------------------------------


@pytest.fixture
def student(tmp_path: Path) -> Path:
    from elite.student import SPVCNN, save_student

    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), tmp_path / "student.safetensors")
    return tmp_path / "student.safetensors"


def test_commands_with_an_output_that_is_an_input_are_refused(
    tiny_kitti: Path, student: Path, tmp_path: Path, capsys
) -> None:
    """By path, by link, and by the labels that predictions would replace; everything stays as it was."""
    link = tmp_path / "link.safetensors"
    link.symlink_to(student)
    velodyne = tiny_kitti / "sequences" / "08" / "velodyne"
    beside = tmp_path / "loose"
    beside.mkdir()
    for name in ("000000.bin", "000000.label"):
        (beside / name).write_bytes((velodyne.parent / ("velodyne" if "bin" in name else "labels") / name).read_bytes())
    record = tiny_kitti / "synth.json"
    record.write_text('{"seed": 0}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    commands = [
        ("export", student, "-o", student),
        ("export", student, "-o", link),
        ("import", student, "-o", link),
        ("evaluate", student, tiny_kitti, "--json", link),
        ("evaluate", student, tiny_kitti, "--json", velodyne / "000000.bin"),
        ("evaluate", student, tiny_kitti, "--json", record),
        ("inspect", velodyne / "000000.bin", "--json", velodyne / "000000.bin"),
        ("predict", student, velodyne, "-o", velodyne.parent / "labels"),
        ("predict", student, beside, "-o", beside),
    ]
    for argv in commands:
        assert main([str(a) for a in argv]) == 2, argv
        assert "choose another" in capsys.readouterr().err.lower(), argv
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_existing_output_file_is_replaced_with_overwrite_only(student: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "weights.safetensors"
    out.write_bytes(b"others")
    assert main(["export", str(student), "-o", str(out)]) == 2
    assert "weights.safetensors: expected a new file, found an existing one" in capsys.readouterr().err
    assert out.read_bytes() == b"others"
    assert main(["export", str(student), "-o", str(out), "--overwrite"]) == 0
    assert out.read_bytes() == student.read_bytes()


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("convert a.mcap -o out", "Run the same command to continue."),
        ("synth -o out", "Run the same command to continue."),
        ("pseudo-label kitti", "Run the same command to continue."),
        ("predict student kitti -o out --skip-existing", "Run the same command to continue."),
        ("predict student kitti -o out", "Run the same command with --skip-existing to continue."),
        ("predict student a.mcap -o out.mcap", ""),
        ("check kitti", ""),
    ],
)
def test_stopped_command_states_how_to_continue(line: str, advice: str, monkeypatch, capsys) -> None:
    def stopped(_: object) -> int:
        raise KeyboardInterrupt

    command, args = parse(line.split())
    monkeypatch.setattr("elite.cli._parse", lambda _: (Mock(), replace(command, run=stopped), args))
    assert main(line.split()) == 130
    assert capsys.readouterr().err == f"elite: interrupted{'. ' * bool(advice)}{advice}\n"


def test_home_folder_is_expanded_in_arguments_and_configurations(tiny_kitti: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.yaml").write_text("data: {root: ~/kitti}\nteacher: {weights: ~/sam.pth}\n")
    config = parse_settings(["--config", "~/a.yaml", "--out=~/run"], TrainConfig)
    assert (config.data.root, config.out) == (tmp_path / "kitti", tmp_path / "run")
    assert config.teacher.weights == str(tmp_path / "sam.pth")
    assert TrainConfig(out=Path("~/run")).out == tmp_path / "run"
    assert main(["check", "~/kitti", "--json=~/result.json"]) == 0
    assert (tmp_path / "result.json").exists()


def test_say_without_a_stream_prints_nothing(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    say("text")
