"""How long the viewer takes from one frame to another, at full size, until a browser has drawn it.

Every scan of a data set (a rendered street, or --data ROOT) is copied often enough that no frame is shown twice, so
nothing of it is at hand unless it was read ahead. For each switch two times are told: until the viewer has sent the
frame, and until a headless Chromium, drawing in software, has returned a picture with it. Such a picture takes its time
without any switch, too; that is told beside them. "next" is the frame after this one, "jump" any other.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import viser
from playwright.sync_api import sync_playwright

from elite.data.semantickitti import SemanticKITTI
from elite.layout import Layout
from elite.synthetic import DriveConfig, render_drive
from elite.viewer import DataSource, Viewer, first_choice, open_window

FLAGS = ["--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"]
PICTURE = {"height": 360, "width": 640}
SEQUENCE = "00"


def repeat(root: Path, out: Path, frames: int) -> SemanticKITTI:
    """The labelled frames of a data set again and again, as one sequence of ``frames``."""
    dataset, to = SemanticKITTI(root), Layout(out)
    chosen = dataset.labelled()
    for i in range(frames):
        entry, name = dataset.index[(row := chosen[i % len(chosen)])], f"{i:06d}"
        copies = {dataset.scan_path(row): to.scan(SEQUENCE, name), dataset.label_path(row): to.labels(SEQUENCE, name)}
        for camera in entry.images:
            copies[dataset.layout.image(entry.sequence, entry.name, camera)] = to.image(SEQUENCE, name, camera)
        copies[dataset.layout.calibration(entry.sequence)] = to.calibration(SEQUENCE)
        for source, target in copies.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return SemanticKITTI(out)


def switch(viewer: Viewer, client: viser.ClientHandle, i: int) -> tuple[float, float]:
    """Seconds until frame ``i`` is sent, and until the browser has drawn it."""
    began = time.perf_counter()
    viewer.go_to(i)
    while viewer.shown != i:
        time.sleep(0.001)
    sent = time.perf_counter() - began
    client.get_render(**PICTURE)
    return sent, time.perf_counter() - began


def still(client: viser.ClientHandle) -> float:
    """Seconds for a picture of what is there already."""
    began = time.perf_counter()
    client.get_render(**PICTURE)
    return time.perf_counter() - began


def measure(viewer: Viewer, client: viser.ClientHandle, rounds: int) -> None:
    """Steps, jumps and still pictures in turn."""
    rows: dict[str, list[float]] = {
        name: [] for name in ("next", "next, drawn", "jump", "jump, drawn", "still picture")
    }
    for k in range(rounds + 1):
        at = 8 * k
        jump, step = switch(viewer, client, at), switch(viewer, client, at + 1)
        if k == 0:
            continue  # everything is slow at first
        for name, seconds in zip(rows, (*step, *jump, still(client)), strict=True):
            rows[name].append(seconds)
        time.sleep(0.5)
    for name, seconds in rows.items():
        print(f"{name:14s} median {1000 * median(seconds):5.0f} ms   longest {1000 * max(seconds):5.0f} ms")


def main(data: Path | None, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if data is None:
            render_drive(data := folder / "drive", DriveConfig(sequences=1, frames=4), workers=1)
        source = DataSource(repeat(data, folder / "repeated", 8 * rounds + 10))
        points = np.mean([len(source.read(i).frame.scan) for i in range(4)])
        with (
            open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(viewer.url)
            while not (clients := viewer.server.get_clients()):
                page.wait_for_timeout(100)
            page.wait_for_timeout(2000)
            print(f"{rounds} switches each, {points:,.0f} points, images {source.cameras}")
            measure(viewer, next(iter(clients.values())), rounds)
            browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="data set with labelled, full-size frames (default: a rendered street)"
    )
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    main(given.data, given.rounds)
