"""Pictures of the viewer and the report, as screenshots of ``elite view`` and ``elite report`` on the demo.

    python docs/figures/windows.py --demo demo

Requires the folder of ``make demo``, and Chromium.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"]
WIDTH, HEIGHT = 1440, 1000


@contextmanager
def window(demo: Path) -> Iterator[str]:
    """Start a viewer on the validation street and yield its address."""
    checkpoint = demo / "run" / "checkpoints" / "best.ckpt"
    command = ["view", checkpoint, demo / "drive", "--sequences", "08", "--port", "0"]
    process = subprocess.Popen([sys.executable, "-m", "elite", *map(str, command)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield re.findall(r"http://\S+", process.stdout.readline())[0]
    finally:
        process.terminate()
        process.wait()


def open_page(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    page.goto(address)
    page.wait_for_timeout(4000)
    page.add_style_tag(content=".mantine-Notifications-root { display: none }")  # notice of software rendering
    return page


def viewer_picture(browser: Browser, address: str, frame: int) -> bytes:
    """Screenshot of the predictions in the scene, with a selected point."""
    page = open_page(browser, address)
    for _ in range(frame):
        page.keyboard.press("n")
        page.wait_for_timeout(1500)
    page.mouse.click(0.45 * WIDTH, 0.42 * HEIGHT)
    page.wait_for_timeout(2000)
    return page.screenshot()


def report_picture(browser: Browser, demo: Path) -> bytes:
    """Screenshot of the scores by class."""
    page = open_page(browser, (demo / "run" / "report" / "index.html").resolve().as_uri())
    page.add_style_tag(content="#classes { border: none; margin: 0 -24px; padding: 24px }")
    return page.locator("#classes").screenshot()


def save(png: bytes, path: Path) -> None:
    Image.open(io.BytesIO(png)).convert("RGB").save(path, optimize=True)
    print(path)


def main(demo: Path, out: Path, frame: int) -> None:
    with window(demo) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        save(viewer_picture(browser, address, frame), out / "viewer.png")
        save(report_picture(browser, demo), out / "report.png")
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("demo"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--frame", type=int, default=12)
    given = parser.parse_args()
    main(given.demo, given.out, given.frame)
