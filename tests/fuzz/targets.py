"""Fuzzed readers: for each, a maker of small valid files and a call of the reader."""

import io
import json
from argparse import Namespace
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from elite.config import AdapterConfig, StudentConfig, TeacherConfig, TrainConfig, plain
from elite.datasets.check import check
from elite.datasets.dense_labels import DenseLabels, encode_ids, read_dense
from elite.datasets.formats import read_cameras, read_image, read_labels, read_poses
from elite.datasets.input_guard import examine
from elite.datasets.scan_encoding import find_other_encoding
from elite.datasets.scan_files import read_scan
from elite.datasets.semantickitti import SemanticKITTI
from elite.errors import CheckpointError, DataError
from elite.evaluation import Prediction, ScoreCounts, evaluate, saved_predictions
from elite.geometry import pinhole, project
from elite.label_records import FOLDER_RECORD, record_classes
from elite.layout import SPLITS, Layout, parse_frames, parse_names, parse_sequences
from elite.segmentation_result import SegmentationResult
from elite.student import SPVCNN, load_student, save_student
from elite.types import Scan
from tests.fuzz import models, own_data, recordings
from tests.fuzz.files import SHARED, changed, put, remembered
from tests.support.scans import CALIBRATION, RAW_IDS, random_scan, write_frame
from tests.support.semantickitti import HDL_64E, KITTI

POINTS = 12


@dataclass(frozen=True)
class Target:
    """``make`` writes whole files into a folder and returns those that are to be damaged; ``read`` reads the folder."""

    make: Callable[[Path], list[Path]]
    read: Callable[[Path], object]


# ---- data sets ------------------------------------------------------------------------------------------------


def make_drive(root: Path, sequences: tuple[str, ...] = ("08",)) -> Layout:
    """One labelled scan in each sequence, half of whose points a camera of 6 x 8 pixels sees."""
    rng = np.random.default_rng(0)
    for sequence in sequences:
        write_frame(root, sequence, "000000", random_scan(rng, POINTS), rng.choice(RAW_IDS, POINTS) | (3 << 16))
    return Layout(root)


def make_scan(folder: Path) -> list[Path]:
    return [put(folder / "a.bin", random_scan(np.random.default_rng(0), POINTS).tobytes())]


def use_scan(folder: Path) -> None:
    """Check that a readable scan has finite points."""
    scan = read_scan(folder / "a.bin", HDL_64E)
    assert np.isfinite(scan.points).all()
    assert len(scan.points) == len(scan.remission) > 0


def make_labels(folder: Path) -> list[Path]:
    return [put(folder / "a.label", np.random.default_rng(0).choice(RAW_IDS, POINTS).astype("<u4").tobytes())]


def use_labels(folder: Path) -> None:
    raw, _ = read_labels(folder / "a.label", folder / "a.bin", POINTS)
    assert KITTI.to_train(raw).max() < 20


def make_calibration(folder: Path) -> list[Path]:
    return [put(folder / "calib.txt", CALIBRATION.encode())]


def use_calibration(folder: Path) -> None:
    points = np.array([[10, 1, 0], [1e-30, 0, 0], [-3, 2, 1], [3e38, -3e38, 3e38]], np.float32)
    for camera in read_cameras(folder / "calib.txt", ("image_2", "image_3")):
        project(points, camera)


CALIBRATION_OF_TRACKING = (
    "P2: 700 0 600 45 0 700 180 0 0 0 1 0\nR_rect 1 0 0 0 1 0 0 0 1\nTr_velo_cam 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n"
)


def make_calibrations(folder: Path) -> list[Path]:
    """Other layouts and encodings of a calibration."""
    texts = {"tracking": CALIBRATION_OF_TRACKING.encode(), "utf-16": CALIBRATION.encode("utf-16")}
    return remembered(*(put(folder / f"{name}.txt", text) for name, text in texts.items()))


def use_calibrations(folder: Path) -> None:
    for path in changed(folder / "tracking.txt", folder / "utf-16.txt"):
        for camera in read_cameras(path, ("image_2",)):
            assert np.isfinite(pinhole(camera)[0]).all()


def make_layouts(folder: Path) -> list[Path]:
    """A scan of another layout, of which there are as many bytes as the stated one could have."""
    turn = np.linspace(0, 2 * np.pi, 100)
    values = np.column_stack([9 * np.cos(turn), 9 * np.sin(turn), turn - 4, turn / 7, np.arange(100)])
    return remembered(
        put(folder / "five.bin", values.astype("<f4").tobytes()),
        put(folder / "double.bin", values.astype("<f8").tobytes()),
    )


def use_layouts(folder: Path) -> None:
    """An encoding that is found has a name; a scan that is read is examined without an error."""
    for path in changed(folder / "five.bin", folder / "double.bin"):
        found = find_other_encoding(path.read_bytes(), HDL_64E)
        assert found is None or found
        if SHARED[path] == path.read_bytes():
            assert found
            return
    examine(read_scan(path, HDL_64E), StudentConfig.volume)


def make_poses(folder: Path) -> list[Path]:
    return [put(folder / "poses.txt", b"1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 1.5 0 1 0 0 0 0 1 -2e-1\n")]


def image_bytes(mode: str, kind: str, **options: Any) -> bytes:
    buffer, rng = io.BytesIO(), np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def make_images(folder: Path) -> list[Path]:
    images = {
        "colour": image_bytes("RGB", "PNG"),
        "palette": image_bytes("P", "PNG", transparency=3),
        "grey": image_bytes("L", "PNG"),
        "alpha": image_bytes("RGBA", "PNG"),
        "sixteen": encode_ids(np.arange(48, dtype=np.uint16).reshape(6, 8)),
        "camera": image_bytes("RGB", "JPEG"),
        "turned": image_bytes(
            "RGB", "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
        ),
        "progressive": image_bytes("RGB", "JPEG", progressive=True),
        "print": image_bytes("CMYK", "JPEG"),
    }
    return [put(folder / f"{name}.png", content) for name, content in images.items()]


def use_images(folder: Path) -> None:
    """One of them is damaged, the sixteen bits of another are refused whole."""
    for path in folder.glob("*.png"):
        try:
            assert read_image(path).ndim == 3
        except DataError as error:
            if path.stem != "sixteen":
                raise error


def make_dense(folder: Path) -> list[Path]:
    files, rng = Layout(folder).dense_files("00", "000000", "x"), np.random.default_rng(0)
    semantic, instance = rng.choice(RAW_IDS, (2, 6, 8)).astype(np.uint16)
    return [put(files.semantic, encode_ids(semantic)), put(files.instance, encode_ids(instance))]


def use_dense(folder: Path) -> None:
    semantic, instance = read_dense(Layout(folder), "00", "000000", "x")
    assert semantic.dtype == instance.dtype == np.uint16
    KITTI.to_train(semantic)


def make_dense_record(folder: Path) -> list[Path]:
    layout = make_drive(folder)
    put(layout.image("08", "000000", "image_2"), image_bytes("RGB", "PNG"))
    put(layout.dense_files("08", "000000", "image_2_pseudo").semantic, b"")
    record = {"settings": {"label_fraction": 0.1, "seed": 0}, "files": {"semantic": "0123456789abcdef"}, "prompts": 3}
    return [put(layout.dense_files("08", "000000", "image_2_pseudo").record, json.dumps(record).encode())]


def use_dense_record(folder: Path) -> None:
    from elite.pseudo_labels.store import Store

    frames = SemanticKITTI(folder)
    for settings in DenseLabels(frames, "image_2_pseudo").provenance(0):
        settings.get("label_fraction")
    Store(frames.layout, "pseudo").dense("08", "000000", "image_2").is_complete({"settings": {}})


def make_whole_drive(folder: Path) -> list[Path]:
    layout = make_drive(folder)
    image = put(layout.image("08", "000000", "image_2"), image_bytes("RGB", "PNG"))
    poses = put(layout.poses("08"), b"1 0 0 0 0 1 0 0 0 0 1 0\n")
    return [layout.scan("08", "000000"), layout.labels("08", "000000"), layout.calibration("08"), image, poses]


def use_whole_drive(folder: Path) -> None:
    """``elite check``, which counts faults and raises none."""
    (report,) = check(SemanticKITTI(folder), threads=1)
    assert report.scans == 1
    json.dumps(report.to_dict())


def make_predictions(folder: Path) -> list[Path]:
    make_drive(folder)
    record_classes(folder, KITTI)
    labels = put(Layout(folder).prediction("08", "000000"), np.full(POINTS, 40, "<u4").tobytes())
    return [labels, folder / FOLDER_RECORD]


def use_predictions(folder: Path) -> None:
    evaluate(SemanticKITTI(folder, "valid", cameras=()), saved_predictions(folder, KITTI))


def make_submission(folder: Path) -> list[Path]:
    import zipfile

    from elite.submission import write_submission

    layout = make_drive(folder / "data", SPLITS["test"])
    for sequence in SPLITS["test"]:
        put(Layout(folder).prediction(sequence, "000000"), np.full(POINTS, 40, "<u4").tobytes())
    write_submission(folder, layout.root, folder / "x.zip", partial=True)
    with zipfile.ZipFile(folder / "x.zip", "a") as archive:
        archive.writestr("description.txt", b"name: unknown", zipfile.ZIP_DEFLATED)
    return [folder / "x.zip"]


def use_submission(folder: Path) -> None:
    from elite.submission import check_submission

    check_submission(folder / "x.zip", folder / "data", partial=True)


def make_nuscenes_rows(folder: Path) -> list[Path]:
    from tests.support.nuscenes import make_tables

    return [put(folder / "a.json", json.dumps(make_tables()["sample_data"][:4], indent=0).encode())]


def use_nuscenes_rows(folder: Path) -> None:
    """Rows are those of the json module."""
    from elite.datasets.nuscenes.json_rows import read_rows

    rows = list(read_rows(folder / "a.json"))
    assert repr(rows) == repr(json.loads((folder / "a.json").read_text("utf-8")))


def make_nuscenes(folder: Path) -> list[Path]:
    """The tables of a data set."""
    from tests.support.nuscenes import write_nuscenes

    write_nuscenes(folder)
    return sorted((folder / "v1.0-mini").glob("*.json"))


def use_nuscenes(folder: Path) -> None:
    """Check that calibrations are finite and poses rigid."""
    from elite.datasets import NuScenes

    for frames in (NuScenes(folder), NuScenes(folder, "scene-0061", sweeps=1)):
        for i in range(len(frames)):
            assert np.isfinite(frames.pose(i)).all()
            assert abs(np.linalg.det(frames.pose(i)[:3, :3]) - 1) < 1e-6
            assert all(np.isfinite(camera.projection).all() for camera in frames.frame_cameras(i))
            frames.labels(i)


def make_nuscenes_frame(folder: Path) -> list[Path]:
    """The files of a keyframe."""
    from elite.datasets import NuScenes

    make_nuscenes(folder)
    frames = NuScenes(folder, "scene-0061", frames="0")
    panoptic = folder / "panoptic" / "v1.0-mini" / frames.label_path(0).name.replace("lidarseg.bin", "panoptic.npz")
    return [frames.scan_path(0), frames.label_path(0), frames.images(0)[2].path, panoptic]


def use_nuscenes_frame(folder: Path) -> None:
    from elite.datasets import NuScenes

    frame = NuScenes(folder, "scene-0061", frames="0")[0]
    assert frame.labels is not None
    assert frame.labels.max() <= 16
    assert len(frame.labels) == len(frame.scan)
    assert np.isfinite(frame.scan.points).all()


def make_nuscenes_copy(folder: Path) -> list[Path]:
    """A compact copy of tables."""
    from elite.datasets.nuscenes import table_cache
    from elite.datasets.nuscenes.tables import read_tables

    make_nuscenes(folder)
    tables, copy = folder / "v1.0-mini", folder / "copy.cache"
    SHARED[folder] = table_cache._key(tables)
    table_cache._save(copy, SHARED[folder], read_tables(tables))
    return remembered(copy)


def use_nuscenes_copy(folder: Path) -> None:
    """A copy is whole, or it is not used."""
    from elite.datasets.nuscenes import table_cache

    tables = table_cache._load(folder / "copy.cache", SHARED[folder])
    assert tables is None or len(tables) == 4


def make_nuscenes_submission(folder: Path) -> list[Path]:
    from elite.datasets import NuScenes
    from elite.submission import write_submission

    make_nuscenes(folder / "data")
    for frame_id in NuScenes(folder / "data", "mini_val").ids:
        put(Layout(folder).prediction(*frame_id), np.full(60, 17, "<u4").tobytes())
    write_submission(folder, folder / "data", folder / "x.zip", split="mini_val", partial=True)
    return [folder / "x.zip"]


def use_nuscenes_submission(folder: Path) -> None:
    from elite.submission import check_submission

    check_submission(folder / "x.zip", folder / "data", split="mini_val", partial=True)


class Stub:
    """A student that calls everything a car."""

    taxonomy, sensor = KITTI, HDL_64E

    def segment(self, scan: Scan, source: object = "") -> SegmentationResult:
        return SegmentationResult(np.ones(len(scan), np.uint8), np.ones(len(scan), np.float32), KITTI.names)


def make_stream(folder: Path) -> list[Path]:
    return [put(folder / "in" / f"{name}.bin", random_scan(np.random.default_rng(0), 3).tobytes()) for name in "abc"]


def use_stream(folder: Path) -> None:
    """Every scan ends as labelled or as failed."""
    from elite.streaming import Stream

    now = [0.0]
    run = Stream(
        Stub(),  # type: ignore[arg-type]
        folder / "in",
        folder / "out",
        notify=lambda line: None,
        clock=lambda: now[0],
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
    )
    summary = run.run(once=True)
    assert summary.labelled + summary.failed + summary.kept == 3
    for path in (folder / "out").glob("*"):
        path.unlink()


# ---- networks -------------------------------------------------------------------------------------------------


def small_student() -> SPVCNN:
    torch.manual_seed(0)
    return SPVCNN(channels=2, strides=(1, 2), classes=3).eval()


def torch_bytes(value: object, *, packed: bool = True) -> bytes:
    """As ``torch.save`` writes it, in its present format or that of torch before 1.6."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=packed)
    return buffer.getvalue()


def make_student(folder: Path) -> list[Path]:
    save_student(small_student(), folder / "a.ckpt")
    return [folder / "a.ckpt"]


def make_training_checkpoint(folder: Path) -> list[Path]:
    student = small_student()
    state = {f"student.{name}": value for name, value in student.state_dict().items()}
    content = {"elite_config": {"student": plain(student.config)}, "state_dict": state, "epoch": 3}
    return [put(folder / "a.ckpt", torch_bytes(content))]


def use_student(folder: Path) -> None:
    """It computes finite numbers."""
    student = load_student(folder / "a.ckpt")
    if max(student.config.cells) > 2000 or student.config.channels > 64:
        return
    points, remission = torch.rand(4, 3), torch.rand(4)
    student(points, remission, torch.zeros(4, dtype=torch.int64))


def make_torch_files(folder: Path) -> list[Path]:
    """Every type of number, and objects of other code, in both formats of torch."""
    from tests.support.torch_files import DTYPES, NEW_DTYPES, plain_content, published_bytes

    contents = [torch_bytes(plain_content(DTYPES + NEW_DTYPES)), torch_bytes(plain_content(DTYPES), packed=False)]
    contents += [published_bytes({"a": torch.ones(3)}, packed=packed) for packed in (True, False)]
    return remembered(*(put(folder / f"{i}.ckpt", content) for i, content in enumerate(contents)))


def use_torch_files(folder: Path) -> None:
    """Check that a readable file has no more numbers than it has room for, and can be printed."""
    from elite.weights.torch_file import load_torch, open_torch

    for path in changed(*sorted(folder.glob("*.ckpt"))):
        with open_torch(path) as file:
            str(file.content)
            file.read_all()
        with suppress(CheckpointError):  # as every whole file of objects is
            load_torch(path)


# Parts of pickles: any byte of a file stands for one of them, so that most programs run for a while.
OPCODES = b"N|\x88|]|}|)|(|t|e|u|a|s|\x85|\x86|\x87|R|\x81|b|Q|0|1|l|d|\x93|\x94|\x8f|\x90|\x91".split(b"|")
OPCODES += b"K\0|K\1|q\0|q\1|h\0|h\1|X\1\0\0\0a|X\7\0\0\0storage|cx\ny\n|ctorch\nFloatStorage\n|ctorch\nSize\n".split(
    b"|"
)
OPCODES += b"ctorch._utils\n_rebuild_tensor_v2\n|ctorch._tensor\n_rebuild_from_type_v2\n|c_codecs\nencode\n".split(b"|")
OPCODES += [b"ccollections\nOrderedDict\n", b"ctorch\nFloatStorage\n"]


def make_pickle(folder: Path) -> list[Path]:
    program = [b"(", b"X\1\0\0\0a", b"cx\ny\n", b")", b"R", b"q\0", b"}", b"X\1\0\0\0a", b"h\0", b"s", b"b", b"d"]
    return [put(folder / "a.bin", bytes(OPCODES.index(part) for part in program) * 3)]


def use_pickle(folder: Path) -> None:
    """Convert the values to text; only PickleFault may be raised."""
    from elite.weights.inert_pickle import InertUnpickler, PickleFault
    from elite.weights.lazy_tensors import LazyTensors
    from elite.weights.torch_formats import known_globals

    program = b"".join(OPCODES[byte % len(OPCODES)] for byte in (folder / "a.bin").read_bytes())
    with suppress(PickleFault):
        str(
            InertUnpickler(known_globals(LazyTensors(io.BytesIO())), tuple).load(io.BytesIO(b"\x80\4" + program + b"."))
        )


def make_safetensors(folder: Path) -> list[Path]:
    from safetensors.torch import save

    tensors = {"a": torch.ones(3, dtype=torch.bfloat16), "b": torch.zeros(2, 0), "c": torch.arange(6).view(2, 3)}
    return [put(folder / "a.safetensors", save(tensors, {"a": "b"}))]


def use_safetensors(folder: Path) -> None:
    from elite.weights.safetensors_file import open_safetensors

    with open_safetensors(folder / "a.safetensors") as file:
        assert sum(value.numel() for value in file.read().values()) <= file.path.stat().st_size


def make_published(folder: Path) -> list[Path]:
    """As the published training writes it, in both formats of torch, and with a prefix."""
    from tests.support.published import published_state
    from tests.support.torch_files import published_bytes

    state = published_state(small_student(), "KRSC")
    prefixed = {f"module._orig_mod.{name}": value for name, value in state.items()}
    contents = [published_bytes(state), published_bytes(state, packed=False), torch_bytes({"model": prefixed})]
    return remembered(*(put(folder / f"{name}.ckpt", content) for name, content in zip("abc", contents, strict=True)))


def use_published(folder: Path) -> None:
    from elite.student.published import import_published

    for path in changed(*sorted(folder.glob("*.ckpt"))):
        import_published(path)[1].lines()


def tiny_sam() -> dict[str, torch.Tensor]:
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    from tests.support.meta_sam import meta_state

    torch.manual_seed(0)
    vision = SamVisionConfig(
        hidden_size=4,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_dim=4,
        output_channels=16,
        num_pos_feats=8,
        image_size=32,
        patch_size=8,
        window_size=2,
        global_attn_indexes=[1],
    )
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=32, patch_size=8, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(
        hidden_size=16, mlp_dim=4, num_hidden_layers=1, iou_head_depth=3, iou_head_hidden_dim=4, layer_norm_eps=1e-5
    )
    config = SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder)
    return meta_state(SamModel(config))


def make_sam(folder: Path) -> list[Path]:
    """Meta's file, and one of a training script in torch's format before 1.6."""
    state = tiny_sam()
    script = {"model": {f"module.{name}": value for name, value in state.items()}, "args": Namespace(lr=0.1)}
    packed, older = torch_bytes(state), torch_bytes(script, packed=False)
    return remembered(put(folder / "a.pth", packed), put(folder / "b.pth", older))


def use_sam(folder: Path) -> None:
    from elite.teacher.sam_weights import load_sam

    with redirect_stdout(io.StringIO()):
        for path in changed(folder / "a.pth", folder / "b.pth"):
            load_sam(path)


def make_foundation(folder: Path) -> list[Path]:
    """A transformers folder."""
    from transformers import ResNetConfig, ResNetModel
    from transformers.utils import logging

    sizes = {"embedding_size": 4, "hidden_sizes": [4, 4], "depths": [1, 1], "layer_type": "basic"}
    torch.manual_seed(0)
    logging.disable_progress_bar()
    ResNetModel(ResNetConfig(**sizes)).save_pretrained(folder / "model")
    return [folder / "model" / "config.json", folder / "model" / "model.safetensors"]


def make_sharded_foundation(folder: Path) -> list[Path]:
    """A transformers folder with an index and parts, one in each format of torch."""
    from safetensors.torch import load

    config, whole = make_foundation(folder)
    state = load(whole.read_bytes())
    whole.unlink()
    index = {name: f"part{i % 2}.bin" for i, name in enumerate(sorted(state))}
    parts = [
        put(config.with_name(part), torch_bytes({n: state[n] for n in index if index[n] == part}, packed=packed))
        for part, packed in (("part0.bin", True), ("part1.bin", False))
    ]
    text = json.dumps({"weight_map": index}).encode()
    return [*parts, put(config.with_name("pytorch_model.bin.index.json"), text)]


def use_foundation(folder: Path) -> None:
    from elite.teacher.weights import load_backbone

    load_backbone(TeacherConfig(weights=str(folder / "model")), 2)


def teacher_settings(folder: Path) -> TeacherConfig:
    return TeacherConfig(
        weights="random", model=str(folder / "model"), channels=4, adapter=AdapterConfig(method="full")
    )


def make_teacher(folder: Path) -> list[Path]:
    """The teacher in a training checkpoint."""
    from elite.teacher import Teacher

    make_foundation(folder)
    settings = teacher_settings(folder)
    teacher = Teacher.build(settings, stages=2, classes=3, total_steps=10)
    state = {f"distillation.teacher.{name}": value for name, value in teacher.trained_state().items()}
    config = {"teacher": plain(settings), "student": plain(StudentConfig(strides=(1, 2, 4), classes=3))}
    content = {"elite_config": config, "state_dict": state, "elite_teacher": {"total_steps": 10, "base": "0"}}
    return [put(folder / "a.ckpt", torch_bytes(content))]


def use_teacher(folder: Path) -> None:
    from elite.teacher import load_teacher

    load_teacher(folder / "a.ckpt")


def make_heads(folder: Path) -> list[Path]:
    """Trained taps and heads, and an adapter, both next to a foundation model."""
    from elite.teacher import Teacher
    from elite.teacher.heads import TeacherHeads
    from elite.teacher.teacher import pack_heads

    make_foundation(folder)
    teacher = Teacher.build(teacher_settings(folder), stages=2, classes=3, total_steps=10)
    assert teacher.adapter is not None
    teacher.adapter.save(folder / "adapter.safetensors")
    heads = TeacherHeads(teacher.backbone, channels=4, classes=3)
    SHARED[folder] = teacher
    return remembered(put(folder / "heads.safetensors", pack_heads(heads)), folder / "adapter.safetensors")


def use_heads(folder: Path) -> None:
    teacher = SHARED[folder]
    readers = {folder / "heads.safetensors": teacher.load_heads, folder / "adapter.safetensors": teacher.adapter.load}
    for path in changed(*readers):
        readers[path](path)


# ---- settings and results -------------------------------------------------------------------------------------


def make_config(folder: Path) -> list[Path]:
    import yaml

    from tests.support.settings import parse_settings, settings_parser

    path = put(folder / "whole.yaml", b"# every setting\n" + yaml.safe_dump(plain(TrainConfig())).encode())
    SHARED[folder] = settings_parser(TrainConfig)
    parse_settings([f"--config={path}"], TrainConfig, parser=SHARED[folder])
    return [path]


def use_config(folder: Path) -> None:
    from tests.support.settings import parse_settings

    parse_settings([f"--config={folder / 'whole.yaml'}"], TrainConfig, parser=SHARED[folder])


METRICS = b"epoch,lr,step,train/loss,val/miou\n0,0.1,0,2.5,\n0,0.1,5,nan,\n0,,9,,0.2\n1,,19,,0.3\n"
TIMES = {"p50": 3.5, "p95": 4, "p99": 5, "mean": 3.7}
LATENCY = {"scans": 3, "points": 12.5, "whole": TIMES, "stages": {"crop": TIMES}, "device": "cpu"}


def make_run(folder: Path) -> list[Path]:
    import yaml

    counts, rng = ScoreCounts(KITTI), np.random.default_rng(0)
    truth = rng.integers(0, 20, 40).astype(np.uint8)
    prediction = Prediction(truth[::-1], rng.random(40, np.float32))
    counts.add(prediction, truth, rng.normal(0, 15, (40, 3)).astype(np.float32))
    frames = [{"frame": "08/000000", "miou_present": 0.5, "accuracy": 0.25, "points": 7}]
    scores = counts.report() | {
        "by_frame": frames,
        "command": "elite evaluate best.ckpt data",
        "versions": {"torch": "9.9"},
    }
    whole = plain(TrainConfig())  # what a report shows of it; the rest is the target config's
    shown = {"teacher": ["weights"], "student": ["volume"], "image": ["crop", "scale"], "data": ["root", "cameras"]}
    shown = {part: {name: whole[part][name] for name in names} for part, names in shown.items()}
    return [
        put(folder / "config.yaml", yaml.safe_dump(shown).encode()),
        put(folder / "versions.json", b'{"elite": "0.1.0", "gpu": null, "seed": 7}'),
        put(folder / "parameters.json", b'{"student, trained": 1933460}'),
        put(folder / "metrics.csv", METRICS),
        put(folder / "evaluation.json", json.dumps(scores).encode()),
        put(folder / "pseudo_label_score.json", b'{"tests": {"rings:2": {"segments": {"coverage": 0.5}}}}'),
        put(folder / "latency.json", json.dumps(LATENCY).encode()),
    ]


def use_run(folder: Path) -> None:
    """Read, and made into a page without pictures."""
    from elite.report.page import render
    from elite.report.run import read_run

    run = read_run(folder)
    if run.after:
        run.after.top_confusions()
    page = render(run)
    page.encode(errors="xmlcharrefreplace")
    assert "<script>" not in page


def make_resumed(folder: Path) -> list[Path]:
    """The checkpoint that a run resumes from."""
    from elite.training.resume import summarise

    config = SHARED[folder] = TrainConfig(out=folder, resume="last", student=small_student().config)
    random = [{"cpu": torch.get_rng_state()}]
    progress = {"steps": 6, "world": 1, "random": random, "faults": {"unreadable": ["00/000001"]}}
    content = {"elite_config": plain(config), "elite_progress": progress, "global_step": 6, "state_dict": {}}
    content |= {"elite_best": 0.5, "elite_data": summarise({"training scans": ["00/000001"], "dense labels": []})}
    return [put(folder / "checkpoints" / "last.ckpt", torch_bytes(content))]


def use_resumed(folder: Path) -> None:
    from elite.training.resume import check_data, checkpoint_to_resume

    with redirect_stdout(io.StringIO()):
        if point := checkpoint_to_resume(SHARED[folder]):
            check_data(point, {}, allow_other=True)


def make_metrics(folder: Path) -> list[Path]:
    return [put(folder / "metrics.csv", METRICS)]


def use_metrics(folder: Path) -> None:
    """A resumed run continues in it."""
    from elite.training.metrics_file import MetricsFile

    rows = MetricsFile(folder, step=10)
    rows.append({"train/loss": 1.5, "step": 10})


def make_charts(folder: Path) -> list[Path]:
    return make_run(folder)


def use_charts(folder: Path) -> None:
    from elite.report import report_run

    report_run(folder)


def make_drive_record(folder: Path) -> list[Path]:
    from elite.synthetic import DriveConfig

    return [put(folder / "synth.json", json.dumps(DriveConfig().to_json()).encode())]


def use_drive_record(folder: Path) -> None:
    from elite.synthetic import DriveConfig
    from elite.synthetic.drive import _claim

    _claim(Layout(folder), DriveConfig())


def make_selections(folder: Path) -> list[Path]:
    texts = {"sequences": b"train,08,11-21", "frames": b"0-2,7", "names": b"image_2,image_3", "holdout": b"rings:4"}
    return [put(folder / name, text) for name, text in texts.items()]


def use_selections(folder: Path) -> None:
    from elite.pseudo_labels.holdout import parse_holdout

    readers = {"sequences": parse_sequences, "frames": parse_frames, "names": parse_names, "holdout": parse_holdout}
    for name, read in readers.items():
        read((folder / name).read_bytes().decode(errors="replace"))


TARGETS: dict[str, Target] = {
    "scan": Target(make_scan, use_scan),
    "labels": Target(make_labels, use_labels),
    "calibration": Target(make_calibration, use_calibration),
    "calibrations": Target(make_calibrations, use_calibrations),
    "layouts": Target(make_layouts, use_layouts),
    "poses": Target(make_poses, lambda folder: read_poses(folder / "poses.txt")),
    "images": Target(make_images, use_images),
    "dense": Target(make_dense, use_dense),
    "dense-record": Target(make_dense_record, use_dense_record),
    "drive": Target(make_whole_drive, use_whole_drive),
    "predictions": Target(make_predictions, use_predictions),
    "submission": Target(make_submission, use_submission),
    "nuscenes-rows": Target(make_nuscenes_rows, use_nuscenes_rows),
    "nuscenes-tables": Target(make_nuscenes, use_nuscenes),
    "nuscenes-frame": Target(make_nuscenes_frame, use_nuscenes_frame),
    "nuscenes-copy": Target(make_nuscenes_copy, use_nuscenes_copy),
    "nuscenes-submission": Target(make_nuscenes_submission, use_nuscenes_submission),
    "point-files": Target(own_data.make_point_files, own_data.use_point_files),
    "described": Target(own_data.make_described, own_data.use_described),
    "reader": Target(own_data.make_reader, own_data.use_reader),
    "own-tables": Target(own_data.make_tables, own_data.use_tables),
    "pointcloud2": Target(recordings.make_clouds, recordings.use_clouds),
    "recording": Target(recordings.make_recordings, recordings.use_recordings),
    "stream": Target(make_stream, use_stream),
    "student": Target(make_student, use_student),
    "model": Target(models.make_model, models.use_model),
    "training-checkpoint": Target(make_training_checkpoint, use_student),
    "pickle": Target(make_pickle, use_pickle),
    "torch-file": Target(make_torch_files, use_torch_files),
    "safetensors": Target(make_safetensors, use_safetensors),
    "published": Target(make_published, use_published),
    "sam": Target(make_sam, use_sam),
    "foundation": Target(make_foundation, use_foundation),
    "sharded-foundation": Target(make_sharded_foundation, use_foundation),
    "teacher": Target(make_teacher, use_teacher),
    "heads": Target(make_heads, use_heads),
    "config": Target(make_config, use_config),
    "run": Target(make_run, use_run),
    "resumed": Target(make_resumed, use_resumed),
    "metrics": Target(make_metrics, use_metrics),
    "charts": Target(make_charts, use_charts),
    "drive-record": Target(make_drive_record, use_drive_record),
    "selections": Target(make_selections, use_selections),
}
