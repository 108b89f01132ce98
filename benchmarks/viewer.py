"""Time of the viewer from one full-size frame to another, until the browser has drawn it.

    python benchmarks/viewer.py [--data ROOT] [--rounds 15]

The scans of a data set (default: a rendered street) are copied so that each frame is displayed once, and is only in
memory if it was read ahead: "next" is the following frame, "jump" any other. For each switch:

    sent         time until the viewer has read, coloured and sent the frame
    page's work  processor time of the page's main thread: unpack, lay out, pass to the renderer
    in the page  time until the page has the frame
    drawn        time until two further pictures are drawn, which include the frame

The browser is a headless Chromium with software rendering on the same processor. The last line is the time of a picture
without a switch: the same points from a slightly different distance. A graphics card needs a few milliseconds.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Page, sync_playwright

from elite.datasets.semantickitti import SemanticKITTI
from elite.layout import Layout
from elite.synthetic import DriveConfig, render_drive
from elite.viewer import DataSource, Viewer, first_choice, open_window

FLAGS = ["--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"]
# The headline is sent after the points, and the page processes messages in order.
HAS = """name => new Promise(done => {
    const check = () => {
        const text = document.body.textContent
        text.includes(name) && !text.includes("Reading ...") ? done() : setTimeout(check, 5)
    }
    check()
})"""
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
SEQUENCE = "00"


def repeat(root: Path, out: Path, frames: int) -> SemanticKITTI:
    """Write a sequence of ``frames`` frames that repeats the labelled frames of a data set."""
    dataset, to = SemanticKITTI(root), Layout(out)
    chosen = dataset.labelled()
    for i in range(frames):
        row, name = chosen[i % len(chosen)], f"{i:06d}"
        copies = {dataset.scan_path(row): to.scan(SEQUENCE, name), dataset.label_path(row): to.labels(SEQUENCE, name)}
        for image in dataset.images(row):
            copies[image.path] = to.image(SEQUENCE, name, image.camera)
        copies[dataset.layout.calibration(dataset.ids[row].sequence)] = to.calibration(SEQUENCE)
        for source, target in copies.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return SemanticKITTI(out)


class Browser:
    """Browser page of a viewer, with its timings."""

    def __init__(self, page: Page, viewer: Viewer) -> None:
        self.page, self.viewer, self.near = page, viewer, False
        page.mouse.move(500, 200)
        self.session = page.context.new_cdp_session(page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def work(self) -> float:
        """Processor seconds of the page's main thread since its start."""
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def switch(self, i: int) -> dict[str, float]:
        """Switch to frame ``i`` and return the seconds of each stage."""
        name, before, start = "/".join(self.viewer.source.ids[i]), self.work(), time.perf_counter()
        self.viewer.go_to(i)
        while self.viewer.shown != i:
            time.sleep(0.001)
        sent = time.perf_counter() - start
        self.page.evaluate(HAS, name)
        arrived = time.perf_counter() - start
        drawn = self.pictures() + arrived
        self.rest()
        return {"sent": sent, "page's work": self.work() - before, "in the page": arrived, "drawn": drawn}

    def turn(self) -> float:
        """Change the distance of the camera and return the seconds until the view is drawn."""
        start = time.perf_counter()
        self.near = not self.near
        self.page.mouse.wheel(0, 10 if self.near else -10)
        self.page.wait_for_timeout(10)
        self.pictures()
        drawn = time.perf_counter() - start
        self.rest()
        return drawn

    def rest(self) -> None:
        """Wait until the renderer has drawn all queued pictures, which arrive faster than it draws them."""
        quick = 0
        while quick < 20:
            quick = quick + 1 if self.pictures() < 0.06 else 0

    def pictures(self) -> float:
        """Wait for two pictures and return the seconds."""
        start = time.perf_counter()
        self.page.evaluate(DRAWN)
        return time.perf_counter() - start


def measure(browser: Browser, rounds: int) -> None:
    """Measure jumps, steps and pictures in turn."""
    rows: dict[str, list[float]] = {}
    for k in range(rounds + 1):
        found = {"jump": browser.switch(8 * k + 4), "next": browser.switch(8 * k + 5)}
        times = {f"{kind}, {stage}": seconds for kind, stages in found.items() for stage, seconds in stages.items()}
        for name, seconds in (times | {"same points, drawn": browser.turn()}).items():
            if k:  # the first round is slow
                rows.setdefault(name, []).append(seconds)
    print(f"{'':24s}{'median':>10s}{'longest':>10s}")
    for name, seconds in rows.items():
        print(f"{name:24s}{1000 * median(seconds):7.0f} ms{1000 * max(seconds):7.0f} ms")


def main(data: Path | None, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if data is None:
            render_drive(data := folder / "drive", DriveConfig(sequences=1, frames=4), workers=1)
        source = DataSource(repeat(data, folder / "repeated", 8 * rounds + 12))
        points = np.mean([len(source.read(i).frame.scan) for i in range(4)])
        with (
            open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer,
            sync_playwright() as playwright,
        ):
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            page.goto(viewer.url)
            page.evaluate(HAS, "/".join(source.ids[0]))
            page.wait_for_timeout(3000)
            print(f"{rounds} switches each, {points:,.0f} points, images {source.cameras}")
            measure(Browser(page, viewer), rounds)
            browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="data set with labelled, full-size frames (default: a rendered street)"
    )
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    main(given.data, given.rounds)
