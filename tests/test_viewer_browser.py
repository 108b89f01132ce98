"""The viewer in headless Chromium: pixels, keys, and no foreign request."""

import io
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import viser
from PIL import Image

from elite.datasets.semantickitti import SemanticKITTI
from elite.prediction_files import file_job
from elite.taxonomy import default_taxonomy
from elite.viewer import DataSource, ScanSource, Viewer, first_choice, open_data, open_window
from elite.viewer.camera_view import TILE
from elite.viewer.source import Source
from tests.support.nuscenes import SCENES, write_nuscenes
from tests.support.nuscenes import SIZE as SIZE_OF_IMAGES
from tests.support.scans import write_frame
from tests.support.semantickitti import HDL_64E, KITTI
from tests.support.waiting import PATIENCE_S, wait_until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install playwright)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt-get install chromium)"),
]
# Software rendering, and no background services of the browser.
FLAGS = [
    *("--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP evil.example 127.0.0.1",  # for the browser, another site
]
SIZE = {"width": 960, "height": 600}
CAR, ROAD, BUILDING = (KITTI.train_id[name] for name in ("car", "road", "building"))
LOOKS = Path(__file__).with_name("viewer_looks.png")  # a screenshot of 48 x 30 pixels


def wall(label: int, y: float) -> tuple[np.ndarray, np.ndarray]:
    """A dense wall ahead of the car, from ``y`` to ``y`` + 6 m, and its raw labels."""
    along, up = np.meshgrid(np.arange(y, y + 6, 0.08), np.arange(-1.5, 2.5, 0.08))
    points = np.stack([np.full(along.size, 10.0), along.ravel(), up.ravel(), np.zeros(along.size)], axis=1)
    return points, np.full(len(points), label)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames: a car beside a building, then road beside a building where the car was."""
    root = tmp_path_factory.mktemp("drive")
    for name, left in (("000000", 10), ("000001", 40)):
        (points, labels), (more, others) = wall(left, 1.0), wall(50, -7.0)
        write_frame(root, "00", name, np.vstack([points, more]), np.hstack([labels, others]))
    (root / "sequences/00/image_2").mkdir()
    picture = np.zeros((376, 1241, 3), np.uint8)
    picture[:, :, 1] = 200
    Image.fromarray(picture).save(root / "sequences/00/image_2/000000.png")
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Window:
    """A page that is open on a viewer, its requests and its errors."""

    def __init__(self, page: "sync_api.Page", viewer: Viewer, address: str = "") -> None:
        self.page, self.viewer = page, viewer
        self.requests: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(address or viewer.url)

    def pixels(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"))

    def small(self) -> np.ndarray:
        """48 x 30 pixels of the whole page."""
        return np.asarray(Image.fromarray(self.pixels()).resize((48, 30), Image.Resampling.BOX)).astype(float)

    def points(self, class_id: int) -> int:
        """Pixels of the scene in exactly the colour of a class, left of the panels."""
        scene = self.pixels()[40:400, : SIZE["width"] - 340]
        return int((scene == KITTI.colors[class_id]).all(axis=2).sum())

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain: {what}"
            self.page.wait_for_timeout(100)

    def close(self) -> None:
        """Nothing went wrong unseen, and nothing left this machine."""
        self.page.close()
        assert not self.errors
        foreign = [url for url in self.requests if not re.match(r"(https?|wss?)://127\.0\.0\.1:|data:|blob:", url)]
        assert self.requests
        assert not foreign


@pytest.fixture
def open_page(browser) -> Iterator[Callable[..., Window]]:
    with ExitStack() as stack:

        def open_one(source: Source, **options) -> Window:
            viewer = open_window(source, first_choice(source), host="127.0.0.1", port=0, **options)
            stack.enter_context(viewer)
            window = Window(browser.new_page(viewport=SIZE), viewer)
            stack.callback(window.close)
            return window

        yield open_one


@pytest.fixture
def window(open_page, drive) -> Window:
    """The drive's first frame, drawn."""
    window = open_page(DataSource(SemanticKITTI(drive)))
    window.wait_for(lambda: window.points(CAR) > 500, "the car is drawn")
    return window


def test_legend_click_hides_and_shows_a_class(window):
    assert window.points(BUILDING) > 500
    assert window.points(ROAD) == 0
    legend = window.page.get_by_text("car", exact=False).first
    legend.click()
    window.wait_for(lambda: window.points(CAR) == 0, "the car is hidden")
    assert window.points(BUILDING) > 500
    legend.click()
    window.wait_for(lambda: window.points(CAR) > 500, "the car is back")


def test_legend_of_many_classes_scrolls_by_itself(open_page, tmp_path):
    (points, _), many = wall(0, -3.0), default_taxonomy(100)
    write_frame(tmp_path, "00", "000000", points, np.arange(len(points)) % 100)
    window = open_page(DataSource(SemanticKITTI(tmp_path, taxonomy=many)))
    scrolls = """() => {
        let row = [...document.querySelectorAll('label')].find(label => label.textContent.startsWith('class 50'))
        while (row && getComputedStyle(row).overflowY !== 'auto') row = row.parentElement
        return !!row && row.scrollHeight > 2 * row.clientHeight
    }"""
    window.wait_for(lambda: window.page.evaluate(scrolls), "the legend has its own scroll bar")


def test_slider_and_keys_change_the_frame(window):
    assert window.page.get_by_text("00/000000").is_visible()
    window.page.get_by_role("slider").first.press("End")
    window.wait_for(lambda: window.points(ROAD) > 500 and window.points(CAR) == 0, "the second frame is drawn")
    assert window.page.get_by_text("00/000001").is_visible()
    window.page.mouse.click(100, 20)  # so that the key is not the slider's
    window.page.keyboard.press("b")
    window.wait_for(lambda: window.points(CAR) > 500 and window.points(ROAD) == 0, "the first frame is back")


def test_playback_cycles_through_the_frames(window):
    window.viewer.choice.rate = 1.0  # at five a second, each screenshot can fall on the same one of two frames
    window.page.keyboard.press(" ")
    for class_id in (ROAD, CAR):
        window.wait_for(lambda: window.points(class_id) > 500, f"class {class_id} comes by")  # noqa: B023
    window.page.get_by_role("button", name="Pause").click()


def test_click_shows_the_point_below_it(window):
    scene = window.pixels()[:, : SIZE["width"] - 340]
    row, column = np.argwhere((scene == KITTI.colors[CAR]).all(axis=2)).mean(axis=0)
    window.page.mouse.click(column, row)
    window.wait_for(lambda: window.page.get_by_text("raw id 10").is_visible(), "the point is described")
    assert window.page.get_by_role("cell", name="remission").is_visible()


def test_keys_change_colours_and_ground(window):
    page = window.page
    page.keyboard.press("o")
    window.wait_for(
        lambda: (window.pixels() == KITTI.safe_colors[CAR]).all(axis=2).sum() > 500, "safe colours are drawn"
    )
    page.keyboard.press("o")
    page.keyboard.press("l")
    window.wait_for(lambda: window.pixels()[45:60, 300:500].min() > 240, "the ground is light")
    page.keyboard.press("1")
    window.wait_for(lambda: window.points(CAR) == 0, "heights are drawn")
    assert page.get_by_text("-2.5 m").is_visible()


def test_picture_shows_the_image_with_or_without_points(window):
    page = window.page
    picture = page.locator("img").last

    def green() -> float:
        shown = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB")).astype(int)
        return float((shown[..., 1] - shown[..., 0] > 120).mean())

    assert picture.evaluate("image => image.naturalWidth") == 1241
    assert green() < 0.1  # grey below the points
    page.get_by_label("Overlay").click()
    page.get_by_role("option", name="None").click()
    window.wait_for(lambda: green() > 0.9, "the image is shown as it is")


def test_picture_of_six_cameras_joins_them_until_one_is_selected(open_page, tmp_path):
    window = open_page(open_data(write_nuscenes(tmp_path), sequences=SCENES[0]))

    def width() -> int:
        pictures = window.page.locator("img")
        return pictures.last.evaluate("image => image.naturalWidth") if pictures.count() else 0

    window.wait_for(lambda: width() == 3 * TILE + 8, "two rows of three images are shown")
    window.page.get_by_label("Camera", exact=True).click()
    window.page.get_by_role("option", name="CAM_BACK_LEFT").click()
    window.wait_for(lambda: width() == SIZE_OF_IMAGES[1], "one image is shown")


def test_window_with_a_damaged_scan_reports_it_and_shows_the_next(open_page, drive, tmp_path):
    shutil.copytree(drive, tmp_path / "drive")
    scan = tmp_path / "drive/sequences/00/velodyne/000000.bin"
    scan.write_bytes(scan.read_bytes()[:-3])
    window = open_page(DataSource(SemanticKITTI(tmp_path / "drive")))
    window.wait_for(lambda: window.page.get_by_text("truncated").first.is_visible(), "the fault is reported")
    window.page.keyboard.press("n")
    window.wait_for(lambda: window.points(ROAD) > 500, "the next frame is drawn")


def test_live_window_follows_scans_and_shows_names_as_text(open_page, drive, tmp_path):
    source = ScanSource("live", KITTI)
    window = open_page(source, live=True)
    window.wait_for(lambda: window.page.get_by_text("Waiting for the first scan").is_visible(), "it waits")
    markup = "<img src=x onerror=\"document.title='owned'\">"
    for name, stem, class_id in (("000000", "0", CAR), ("000001", markup, ROAD)):
        for folder, suffix in (("velodyne", "bin"), ("labels", "label")):
            shutil.copy(drive / f"sequences/00/{folder}/{name}.{suffix}", tmp_path / f"{stem}.{suffix}")
        source.add(file_job(tmp_path / f"{stem}.bin", tmp_path, HDL_64E))
        window.viewer.wake()
        window.wait_for(lambda: window.points(class_id) > 500, f"scan {name} is drawn")  # noqa: B023
    assert window.page.get_by_text(f"live/{markup}").is_visible()
    assert window.page.title() != "owned"


def test_window_looks_as_in_the_reference_screenshot(window):
    """Loosely, for fonts and drivers differ; a panel that is gone or a scene that is empty does not pass."""
    expected = np.asarray(Image.open(LOOKS).convert("RGB")).astype(float)

    def difference() -> float:
        return float(np.abs(window.small() - expected).mean())

    window.page.add_style_tag(content=".mantine-Notifications-root { display: none }")  # of software rendering
    window.wait_for(lambda: difference() < 2, "the first picture again")  # 2.6 without the scene, 7 without the panel


# ---- other pages, other machines ------------------------------------------------------------------------------


class ForeignSite(BaseHTTPRequestHandler):
    """An empty page on every path but /frame, which shows the address of its query in a frame."""

    def do_GET(self) -> None:
        self.server.visits.append(self.path)  # type: ignore[attr-defined]
        frame = f"<iframe src='{self.path.partition('?')[2]}'></iframe>" if self.path.startswith("/frame?") else ""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(frame.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def foreign_site() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ForeignSite) as server:
        server.visits = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def shown(drive) -> Iterator[Viewer]:
    """A viewer that has drawn a frame, without a page."""
    source = DataSource(SemanticKITTI(drive))
    with open_window(source, first_choice(source), host="127.0.0.1", port=0) as viewer:
        wait_until(lambda: viewer.shown >= 0, "a frame is drawn")
        yield viewer


CONNECT = """([url, protocol]) => new Promise(done => {
    const socket = new WebSocket(url, [protocol])
    let opened = false
    socket.onopen = () => opened = true
    socket.onmessage = event => done({opened, bytes: event.data.size})
    socket.onclose = event => done({opened, bytes: 0, code: event.code})
})"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example"])
def test_websocket_from_a_page_of_another_origin_gets_nothing(host, shown, foreign_site, browser):
    page, port = browser.new_page(), shown.server.get_port()
    page.goto(f"http://{host}:{foreign_site.server_port}/")
    for target in ("127.0.0.1", "localhost"):
        answer = page.evaluate(CONNECT, [f"ws://{target}:{port}", f"viser-v{viser.__version__}"])
        assert answer == {"opened": False, "bytes": 0, "code": 1006}
    page.close()
    assert not shown.server.get_clients()


def test_page_under_a_name_of_somebody_else_is_refused(shown, browser):
    """DNS rebinding: for the browser, page and websocket are of one origin."""
    page, port = browser.new_page(), shown.server.get_port()
    assert page.goto(f"http://evil.example:{port}/").status == 403
    answer = page.evaluate(CONNECT, [f"ws://evil.example:{port}", f"viser-v{viser.__version__}"])
    assert answer == {"opened": False, "bytes": 0, "code": 1006}
    page.close()


def test_page_of_the_viewer_is_not_turned_against_it(shown, foreign_site, browser):
    """A link to it that names another server, whose scripts it would run; a frame; a request from within."""
    page, foreign = browser.new_page(), f"127.0.0.1:{foreign_site.server_port}"
    for query in (f"websocket=ws://{foreign}/taken", f"playbackPath=http://{foreign}/taken", "playbackPath=data:,x"):
        assert page.goto(f"{shown.url}/?{query}").status == 403
    page.goto(f"http://{foreign}/frame?{shown.url}")
    assert page.frames[1].url.startswith("chrome-error:")
    page.goto(shown.url)
    with pytest.raises(sync_api.Error, match="Failed to fetch"):
        page.evaluate("url => fetch(url)", f"http://{foreign}/taken")
    page.close()
    assert "/taken" not in foreign_site.visits


def test_window_for_other_machines_opens_with_the_token_and_stays_open(drive, browser):
    source = DataSource(SemanticKITTI(drive))
    with open_window(source, first_choice(source), host="0.0.0.0", port=0) as viewer:
        token = viewer.url.partition("/?")[2]
        address = f"http://127.0.0.1:{viewer.server.get_port()}"
        context = browser.new_context(viewport=SIZE)
        page = context.new_page()
        assert page.goto(address).status == 403
        assert page.goto(f"{address}/?token=wrong").status == 403
        answer = page.evaluate(CONNECT, [address.replace("http", "ws"), f"viser-v{viser.__version__}"])
        assert answer == {"opened": False, "bytes": 0, "code": 1006}
        page = context.new_page()  # refusals above are errors in the console of the other page
        window = Window(page, viewer, f"{address}/?{token}")
        window.wait_for(lambda: window.points(CAR) > 500, "the car is drawn")
        assert page.evaluate("document.cookie") == ""  # scripts cannot read the token
        page.goto(address)
        window.wait_for(lambda: window.points(CAR) > 500, "the car is drawn, by the cookie")
        window.close()
        context.close()
