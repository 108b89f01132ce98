"""Data sets, foundation models and pseudo-labels of the runs. Existing ones are kept."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from experiments.ablation.rows import BLOCKS, CLASS_MODEL, SEGMENT_MODEL, SHARES, Row
from experiments.ablation.sizes import Size

Request = tuple[str, int]  # name of a row, seed


def elite(command: str, environment: Mapping[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-m", "elite", *command.split()], check=True, env=environment)


def prepare(out: Path, size: Size, block: str, queue: list[Request]) -> None:
    """Make everything that these runs of a block need, except the foundation models."""
    rows = [BLOCKS[block][name] for name, _ in queue]
    for name in {row.drive for row in rows}:
        render(out / name, size.drive if name == "drive" else size.many)
    for i, street in enumerate(size.streets):
        render(out / f"street{i}", street)
    if missing_models(out, rows):
        render(out / "images", size.images)
    dense = {row.settings.get("data.dense_labels") for row in rows}
    if "image_2_pseudo" in dense:
        elite(f"pseudo-label {out / 'drive'} --sequences train")
    if "image_2_sam" in dense:
        label_with_small_sam(out)
    for share, seed in sorted({(share, seed) for name, seed in queue for share in shares_read(BLOCKS[block][name])}):
        label_share(out / "many", size, share, seed)


def render(folder: Path, options: str) -> None:
    """Render a drive. A finished one has the file ``rendered``."""
    mark = folder / "rendered"
    if not mark.exists():
        elite(f"synth -o {folder} {options}")
        mark.touch()


def shares_read(row: Row) -> list[str]:
    """Label shares whose pseudo-labels the row reads."""
    read = {row.settings.get(key) for key in ("data.dense_labels", "data.labels")}
    return [share for share in SHARES if read & {f"image_2_{share}_{{seed}}", f"labels_{share}_{{seed}}"}]


def label_share(drive: Path, size: Size, share: str, seed: int) -> None:
    """Make pseudo-labels from a share of the labels."""
    hidden = SHARES[share]
    labels = f"--label-fraction {hidden['data.label_fraction']} --label-unit {hidden['data.label_unit']}"
    folder = f"--folder {share}_{seed} --seed {seed} --lift"
    elite(f"pseudo-label {drive} --sequences {size.many_sequences} {labels} {folder}")


def label_with_small_sam(out: Path) -> None:
    """Make pseudo-labels with a SAM that is small enough to be trained here (experiments.train_sam)."""
    if not (out / "small-sam" / "model.safetensors").exists():
        render(out / "sam-images", "--seed 5000 --sequences 30 --frames 6 --beams 64 --azimuths 1024")
        folders = [str(out / "sam-images"), str(out / "small-sam")]
        subprocess.run([sys.executable, "-m", "experiments.train_sam", *folders], check=True)
    sam = f"--proposer sam --weights {out / 'small-sam'} --folder sam"
    elite(f"pseudo-label {out / 'drive'} --sequences train {sam}")


def missing_models(out: Path, rows: Iterable[Row]) -> list[str]:
    """Foundation models of these rows that have not been trained."""
    models = {row.teacher for row in rows} & {SEGMENT_MODEL, CLASS_MODEL}
    return sorted(model for model in models if not (out / model / "model.safetensors").exists())


def train_model(out: Path, model: str, size: Size, environment: Mapping[str, str]) -> None:
    """Train a foundation model on the image set."""
    objective = "classes" if model == CLASS_MODEL else "segments"
    cameras = ",".join(sorted(path.name for path in (out / "images/sequences/00").glob("image_?")))
    settings = f"--config synthetic-teacher --steps {size.teacher_steps} --objective {objective}"
    data = f"--data.cameras {cameras} --data.workers 0"
    elite(f"train-teacher {out / 'images'} -o {out / model} {settings} {data}", environment)
