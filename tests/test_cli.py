"""The command line: the commands of the documentation, and one line for each error."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elite.cli import all_commands, main, parse
from elite.cli.parser import Parser
from elite.student import SPVCNN, save_student
from tests.support.scans import write_frame
from tests.support.streets import short_streets
from tests.support.waiting import PATIENCE_S

GET_STARTED = Path(__file__).parents[1] / "docs/get-started.md"
# The same commands on less data, so that the story takes seconds.
SMALLER = {
    "synth": "--sequences 1 --frames 2 --beams 16 --azimuths 180 --image-width 160 --image-height 48 --workers 1",
    "train-teacher": "--steps 2 --image.crop [32,64] --data.workers 0",
    "train": "--steps 6 --val_every 6 --student.channels 8 --student.cells [50,50,10] --image.crop [32,64] "
    "--data.workers 0",
    "view": "--port 0",
}


def documented_commands() -> list[list[str]]:
    block = re.search(r"## Train on a rendered street\n.*?```\n(.*?)```", GET_STARTED.read_text(), re.S)
    assert block is not None
    return [shlex.split(line, comments=True)[1:] for line in block.group(1).splitlines()]


def test_get_started_small_settings_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("elite.viewer.Viewer.wait", lambda viewer: None)  # else until somebody interrupts it
    commands = documented_commands()
    assert [c[0] for c in commands] == [
        "synth", "check", "synth", "train-teacher", "train", "evaluate", "predict", "evaluate", "report",
        "export", "view",
    ]  # fmt: skip
    with short_streets():
        for command in commands:
            extra = shlex.split(SMALLER.get(command[0], ""))
            assert main([*command, *extra]) == 0, (command, capsys.readouterr())
    by_network = json.loads(Path("runs/first/evaluation.json").read_text())
    assert main(["evaluate", "--predictions", "predictions", "drive", "--json", "files.json"]) == 0
    by_files = json.loads(Path("files.json").read_text())
    assert by_files["confusion"] == by_network["confusion"]
    assert by_files.keys() >= {
        "miou", "miou_present", "accuracy", "iou", "by_distance", "frames", "command", "versions",
    }  # fmt: skip
    assert "data:image/png" in Path("runs/first/report/index.html").read_text()


def test_help_names_every_command(capsys) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"\n  {verb} " in text for verb in all_commands())


@pytest.mark.parametrize("verb", all_commands())
def test_help_of_a_command_describes_every_argument_in_words(verb: str, capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    text = capsys.readouterr().out
    assert "Example:\n  elite " in text
    assert not re.search(r"<class|Optional|Union|\(type:|==SUPPRESS", text)
    parser = Parser(verb, all_commands()[verb], show_all=True)
    assert not [a.dest for actions in parser.documented.values() for a in actions if len(a.help or "") < 5]


@pytest.fixture
def student(tmp_path: Path) -> Path:
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), tmp_path / "student.safetensors")
    return tmp_path / "student.safetensors"


def refused(capsys, *argv: object) -> str:
    """The one line that a refused command leaves; exit status 2, nothing on the way but it."""
    assert main([str(a) for a in argv]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("elite: error: ")
    assert "Traceback" not in "".join(lines)
    return lines[-1]


def broken(root: Path, kind: str) -> Path:
    """``root`` with one fault put into sequence 08; the file that has it."""
    folder = root / "sequences" / "08"
    scan, label = folder / "velodyne" / "000000.bin", folder / "labels" / "000000.label"
    match kind:
        case "truncated scan":
            scan.write_bytes(scan.read_bytes()[:-5])
        case "empty scan":
            scan.write_bytes(b"")
            label.write_bytes(b"")
        case "NaN point":
            values = np.fromfile(scan, "<f4")
            values[6] = np.nan
            values.tofile(scan)
        case "label count":
            label.write_bytes(label.read_bytes()[:-4])
            return label
        case "unknown id":
            words = np.fromfile(label, "<u4")
            words[3] = 77
            words.tofile(label)
            return label
        case "outside":
            values = np.fromfile(scan, "<f4").reshape(-1, 4)
            values[:, 0] = 300
            values.tofile(scan)
    return scan


BROKEN = {
    "truncated scan": "multiple of 16 bytes.*Copy the truncated file again",
    "empty scan": "expected at least one point",
    "NaN point": "finite numbers.*Remove them",
    "label count": "expected 500 labels.*found 499. Re-extract",
    "unknown id": r"raw label ids .*\[77\]. Map other ids",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_evaluate_broken_file_is_named(tiny_kitti: Path, student: Path, capsys, kind: str) -> None:
    path = broken(tiny_kitti, kind)
    line = refused(capsys, "evaluate", student, tiny_kitti)
    assert str(path) in line
    assert re.search(BROKEN[kind], line)


@pytest.mark.parametrize("kind", BROKEN)
def test_check_broken_file_is_counted_and_others_are_read(tiny_kitti: Path, capsys, tmp_path: Path, kind: str) -> None:
    path = broken(tiny_kitti, kind)
    assert main(["check", str(tiny_kitti), "--json", str(tmp_path / "check.json")]) == 1
    result = json.loads((tmp_path / "check.json").read_text())
    assert result["faults"] == 1
    by_sequence = {s["sequence"]: s for s in result["sequences"]}
    assert str(path) in by_sequence["08"]["faults"][0]
    assert by_sequence["00"]["faults"] == []
    assert by_sequence["08"]["labels"] == 1  # they are not missing
    assert sum(by_sequence["00"]["classes"]) == 1000
    assert str(path) in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["truncated scan", "empty scan", "NaN point", "outside"])
def test_predict_broken_scan_is_skipped_and_named(
    tiny_kitti: Path, student: Path, tmp_path: Path, capsys, kind: str
) -> None:
    path = broken(tiny_kitti, kind)
    out = tmp_path / "out"
    assert main(["predict", str(student), str(tiny_kitti), "--sequences", "00,08", "-o", str(out)]) == 1
    captured = capsys.readouterr()
    assert "2 scans labelled" in captured.out
    assert "1 failed" in captured.out
    assert str(path) in captured.err
    assert sorted(p.name for p in out.rglob("*.label")) == ["000000.label", "000001.label"]


def test_commands_read_scans_of_the_given_sensor(tiny_kitti: Path, student: Path, tmp_path: Path, capsys) -> None:
    """The same scenes, with x to the right, remission in 0..256 and the number of the beam."""
    own, sensor = shutil.copytree(tiny_kitti, tmp_path / "own"), tmp_path / "lidar.yaml"
    sensor.write_text("name: lidar\ncolumns: [x, y, z, remission, ring]\naxes: [y, -x, z]\nremission_max: 256\n")
    for path in own.rglob("*.bin"):
        x, y, z, remission = np.fromfile(path, "<f4").reshape(-1, 4).T
        np.stack([-y, x, z, 256 * remission, np.arange(len(x)) % 32], axis=1).astype("<f4").tofile(path)
    assert main(["check", str(own), "--sequences", "00"]) == 1
    assert main(["check", str(own), "--sequences", "00", "--sensor", str(sensor)]) == 0
    given: dict[str, tuple[Path, list[str]]] = {"ours": (tiny_kitti, []), "own": (own, ["--sensor", str(sensor)])}
    labels, scores = {}, {}
    for name, (root, options) in given.items():
        scan = root / "sequences" / "00" / "velodyne" / "000000.bin"
        for kind, data in (("set", [str(root), "--sequences", "08"]), ("scan", [str(scan)])):
            out = tmp_path / name / kind
            assert main(["predict", str(student), *data, "-o", str(out), *options]) == 0
            labels[name, kind] = next(out.rglob("*.label")).read_bytes()
        score = tmp_path / f"{name}.json"
        assert main(["evaluate", str(student), str(root), "--json", str(score), *options]) == 0
        scores[name] = json.loads(score.read_text())["confusion"]
    assert scores["own"] == scores["ours"]
    assert all(labels["own", kind] == labels["ours", kind] for kind in ("set", "scan"))


def test_check_damaged_image_and_calibration_are_reported(tiny_kitti: Path, capsys, tmp_path: Path) -> None:
    image = tiny_kitti / "sequences" / "00" / "image_2" / "000000.png"
    image.parent.mkdir()
    image.write_bytes(b"\x89PNG\r\n\x1a\n")
    scan = tiny_kitti / "sequences" / "00" / "velodyne" / "000001.bin"
    points = np.fromfile(scan, "<f4").reshape(-1, 4)
    points[7, 3] = 255
    points.tofile(scan)
    calibration = tiny_kitti / "sequences" / "00" / "calib.txt"
    calibration.write_text(calibration.read_text().replace("P2:", "P9:"))
    assert main(["check", str(tiny_kitti), "--sequences", "train"]) == 1
    out = capsys.readouterr().out
    assert re.search(r"doubtful: .*1.bin: expected remission in 0..1, found \S+ to 255\. Divide .*in 1 of 2 scans", out)
    assert "absent sequences: 01, 02, 03, 04, 05, 06, 07, 09, 10\n00: 1 of 2 images are missing" in out
    assert f"{image}: expected a readable" in out
    assert f"{calibration}: expected a line 'P2:'" in out
    (calibration.parent / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n" * 2)
    calibration.write_text("Tr: 1\n")
    assert main(["check", str(tiny_kitti), "--sequences", "00"]) == 1
    assert capsys.readouterr().out.count(str(calibration)) == 1


def test_switch_without_value_is_true(tiny_kitti: Path, capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--overwrite", "--data.require-images", "--data.repeat_labelled", "false", "--print_config"])
    printed = capsys.readouterr().out
    assert all(f"{name}\n" in printed for name in ("overwrite: true", "require_images: true", "repeat_labelled: false"))
    assert "expected scans for sequence 05" in refused(
        capsys, "pseudo-label", "--lift", tiny_kitti, "--sequences", "05"
    )


def test_predict_loose_scans_writes_labels_and_skips_existing(student: Path, tmp_path: Path, capsys) -> None:
    write_frame(tmp_path, "00", "000007", np.ones((9, 4), np.float32))
    folder = tmp_path / "sequences" / "00" / "velodyne"
    assert main(["predict", str(student), str(folder), "-o", str(tmp_path / "out"), "--confidence"]) == 0
    assert np.fromfile(tmp_path / "out" / "000007.label", "<u4").shape == (9,)
    assert np.fromfile(tmp_path / "out" / "000007.confidence", "<f4").shape == (9,)
    again = ["predict", str(student), str(folder), "-o", str(tmp_path / "out"), "--confidence", "--skip-existing"]
    (tmp_path / "out" / "000007.confidence").unlink()  # as if killed between the two files
    assert main(again) == 0
    assert (tmp_path / "out" / "000007.confidence").exists()
    before = (tmp_path / "out" / "000007.label").stat().st_mtime_ns
    assert main(again) == 0
    assert (tmp_path / "out" / "000007.label").stat().st_mtime_ns == before
    assert "0 scans labelled in" in (printed := capsys.readouterr().out)
    assert "1 skipped" in printed


TRAIN = "train --config semantickitti-student --data.root kitti --data.sequences 00 --out run"
STUDENT = "student.safetensors"
SCAN = "kitti/sequences/00/velodyne/000000.bin"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fly", "not a command; expected one of inspect, convert, check"),
        ("predicts", r"not a command \(did you mean predict\?\); expected"),
        ("train --data.rot x", "data.rot.*did you mean --data.root"),
        ("train --optim.lr fast", "optim.lr"),
        ("train --config typo.yaml", "'optim.lrr' is not a setting of this command; did you mean optim.lr,"),
        ("train --config synthetic-teacher", "'model' is not a.*did you mean teacher.model, or is it a"),
        ("train --config no-such", "semantickitti-student"),
        ("train --config noise.yaml", "noise.yaml: expected YAML text, found"),
        (f"{TRAIN} --steps 5 --val_every 2", "val_every: expected a divisor of the run of 5 steps"),
        (f"{TRAIN} --out {STUDENT}/below", "Choose another output"),
        (f"{TRAIN} --data.val_sequences train,test --data.val_frames 99", "validation: .*or none"),
        (f"{TRAIN} --student.classes 17", "student.classes: expected 20"),
        (f"{TRAIN} --devices 0", "devices: expected at least 1"),
        (f"evaluate {STUDENT}", "expected 'elite evaluate MODEL DATA'"),
        ("evaluate absent.ckpt kitti", "absent.ckpt"),
        ("evaluate . kitti", "expected a checkpoint, found a folder. Give a file"),
        (f"evaluate {STUDENT} kitti --split 05", "expected scans for sequence 05, found 00, 08"),
        (f"evaluate {STUDENT} kitti --split val", "found 'val'. Select some of 00, 08"),
        (f"evaluate {STUDENT} kitti --split 11", "sequences 11: expected scans with a file in 'labels', found none"),
        (f"predict {STUDENT} kitti -o {STUDENT}/below", "Choose another output"),
        (f"predict {STUDENT} {SCAN} -o out --device quantum", "quantum"),
        (f"predict {STUDENT} {SCAN} -o out --frames 0", "--frames: expected one data set, found loose scans"),
        ("submit kitti", "elite submit PREDICTIONS DATA"),
        ("check kitti --cameras image_9", "image_9"),
        ("check kitti --frames 0-9999999999", "at most 6 digits"),
        ("check kitti --labels calib.txt", "cannot be listed"),
        ("check stamped", "in the sequences 00.*00/velodyne: 1 files are not read .*; expected names such as 0"),
        (f"import {STUDENT} -o out --weight-layout ABCD", "invalid choice: .ABCD"),
        ("report nothing", "nothing: expected a run"),
    ],
)
def test_command_with_impossible_arguments_is_refused(
    command: str, message: str, tiny_kitti: Path, student: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("noise.yaml").write_bytes(bytes(range(128, 256)))
    Path("typo.yaml").write_text("optim:\n  lrr: 1\n")
    timestamp = Path("stamped/sequences/00/velodyne/1699999999.123.bin")
    timestamp.parent.mkdir(parents=True)
    timestamp.write_bytes(Path(SCAN).read_bytes())
    assert re.search(message, refused(capsys, *shlex.split(command)))


def test_train_damaged_scan_with_any_worker_count_ends_with_one_line(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    scan = tiny_kitti / "sequences" / "00" / "velodyne" / "000001.bin"
    scan.write_bytes(scan.read_bytes()[:-1])
    alone = ("train", "--config", "semantickitti-student", "--data.root", tiny_kitti)
    run = (*alone, "--data.sequences", "00", "--data.batch_size", "1", "--steps", "2")
    small = ("--student.channels", "4", "--student.cells", "[50,50,10]")
    for workers in (0, 1):
        line = refused(capsys, *run, *small, "--out", tmp_path / f"run{workers}", "--data.workers", workers)
        assert line.startswith(f"elite: error: {scan}: expected a multiple of 16 bytes")


def test_check_sequences_folder_is_a_valid_root(tiny_kitti: Path, student: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tiny_kitti / "sequences")
    assert main(["check", "."]) == 0
    assert main(["predict", str(student), ".", "--sequences", "08", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "sequences" / "08" / "predictions" / "000000.label").exists()


def test_train_unknown_key_in_configuration_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "mine.yaml").write_text("optim:\n  learning_rate: 1\n")
    assert "learning_rate" in refused(capsys, "train", "--config", tmp_path / "mine.yaml")


def test_evaluate_student_of_other_classes_is_refused(tiny_kitti: Path, tmp_path: Path, capsys) -> None:
    save_student(SPVCNN(channels=4, cells=(50, 50, 10), classes=17), tmp_path / "other.safetensors")
    line = refused(capsys, "evaluate", tmp_path / "other.safetensors", tiny_kitti)
    assert "expected the classes of the data, semantickitti, found those of 16 unnamed classes" in line


def test_submit_partial_predictions_need_the_partial_flag(
    tiny_kitti: Path, student: Path, tmp_path: Path, capsys
) -> None:
    predictions, target = tmp_path / "pred", tmp_path / "x.zip"
    assert main(["predict", str(student), str(tiny_kitti), "--sequences", "test", "-o", str(predictions)]) == 0
    line = refused(capsys, "submit", predictions, "--data", tiny_kitti, "-o", target)
    assert "11 has 1 of 921 scans" in line
    assert not target.exists()
    assert main(["submit", str(predictions), "--data", str(tiny_kitti), "-o", str(target), "--partial"]) == 0
    assert "NOT accepted by the server" in capsys.readouterr().out
    assert main(["submit", "--check", str(target), "--data", str(tiny_kitti), "--partial"]) == 0


# ---- earlier spellings --------------------------------------------------------------------------------------------

EARLIER = {
    "check-data D": "check D",
    "export-student M S": "export M -o S",
    "import-checkpoint M S --weight-layout KRSC": "import M -o S --weight-layout KRSC",
    "pseudo-label-score D --holdout points:0.5": "score-pseudo-labels D --holdout points:0.5",
    "synth O": "synth -o O",
    "synth O --test_frames 2 --image_width=64": "synth -o O --test-frames 2 --image-width 64",
    "train --data.root D --out R": "train D -o R",
    "train --data.root=D --out=R": "train D -o R",
    "train --overwrite true": "train --overwrite",
    "train --overwrite=true --deterministic false": "train --overwrite --no-deterministic",
    "train --optim.clip_together False": "train --no-optim.clip-together",
    "train --data.label_fraction 0.1": "train --data.label-fraction 0.1",
    "train --val_every=2 --steps 4 --teacher.rel_pos slice": "train --val-every 2 --steps 4 --teacher.rel-pos slice",
    "train --data.require_images --allow_other_data": "train --data.require-images --allow-other-data",
    "train-teacher --data.root D --out O": "train-teacher D -o O",
    "pseudo-label D --out O --lift true": "pseudo-label D -o O --lift",
    "pseudo-label D --allow_import mine": "pseudo-label D --allow-import mine",
    "evaluate --predictions P D": "evaluate D --predictions P",
    "predict M D --out O --skip_existing": "predict M D -o O --skip-existing",
    "predict M D -o O --vote_by logits": "predict M D -o O --vote-by logits",
    "stream F --checkpoint M -o O": "stream M F -o O",
    "stream F -o O --checkpoint=M --once": "stream M F -o O --once",
    "view D --checkpoint M": "view M D",
    "view --checkpoint M D --safe_colors": "view M D --safe-colors",
    "submit P --data D -o Z": "submit P D -o Z",
    "submit --check Z --data D": "submit D --check Z",
    "report J --checkpoint M": "report J --model M",
}


def meaning(line: str) -> dict[str, object]:
    """Result of parsing a command line, without its spelling."""
    command, args = parse(line.split())
    values = {k: v for k, v in vars(args).items() if k not in ("command_line", "positional_out", "settings", "data")}
    values["out"] = getattr(args, "out", None) or getattr(args, "positional_out", None)
    settings = dict(getattr(args, "settings", []))
    if data := getattr(args, "data", None):
        settings[getattr(args, "data_setting", None) or "data"] = str(data)
    return values | {"run": command.run, "settings": settings}


@pytest.mark.parametrize(("earlier", "current"), EARLIER.items())
def test_earlier_spelling_means_the_same(earlier: str, current: str) -> None:
    assert meaning(earlier) == meaning(current)


@pytest.mark.parametrize("verb", all_commands())
def test_help_shows_no_earlier_spelling(verb: str) -> None:
    text = Parser(verb, all_commands()[verb], show_all=True).format_help()
    assert not re.search(r"--\S*_|--data\.root|check-data|export-student|import-checkpoint|pseudo-label-score", text)


LIGHT_COMMANDS = [
    ["--help"],
    ["--version"],
    *([verb, "--help-all" if verb == "train" else "--help"] for verb in all_commands()),
    ["predict", "missing-model", "missing-folder", "-o", "out"],
    ["evaluate", "missing-model", "missing-folder"],
    ["bench", "latency", "missing-model", "missing-folder"],
    ["inspect", "missing-folder"],
    ["train", "missing-folder", "--config", "semantickitti-student"],
    ["predict", "missing-model", "missing-folder", "-o", "out", "--colour", "red"],
]


def test_help_and_refusals_import_no_torch() -> None:
    """All in one process: what one of them imports stays."""
    code = (
        "import json, sys\n"
        "from elite.cli import main\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "    heavy = {'torch', 'lightning', 'scipy'} & sys.modules.keys()\n"
        "    assert not heavy, (words, heavy)\n"
        "print('all are light')"
    )
    command = [sys.executable, "-c", code, json.dumps(LIGHT_COMMANDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.endswith("all are light\n"), done.stderr
