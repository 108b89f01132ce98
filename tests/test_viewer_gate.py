"""Access to the viewer: raw HTTP and websocket requests of other pages, machines and users."""

import asyncio
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import viser
import viser.infra._infra
import websockets.asyncio.server
from websockets.asyncio.client import connect as asyncio_connect
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosedError
from websockets.http11 import Request
from websockets.sync.client import ClientConnection, connect

from elite.cli import main
from elite.errors import ConfigError
from elite.prediction_files import file_job
from elite.streaming import Stream
from elite.student import SPVCNN, save_student
from elite.viewer import ScanSource, Viewer, first_choice, open_data, open_window
from elite.viewer.gate import MESSAGE_BYTES, Gate, GuardedServer, MeteredConnection, listen
from tests.support.scans import random_scan
from tests.support.semantickitti import HDL_64E, KITTI
from tests.support.waiting import PATIENCE_S, wait_until

PROTOCOL = f"viser-v{viser.__version__}"
TOKEN = "right-token_0"
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": PROTOCOL,
}
SCENE_BYTES = 8_000  # 500 points with colours


# ---- the rule -------------------------------------------------------------------------------------------------


def request(*headers: tuple[str, str], path: str = "/") -> Request:
    return Request(path, Headers(headers))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:9999", "localhost", "127.0.0.2:1", "[::1]:8080"],
)
def test_gate_loopback_host_with_its_own_origin_is_accepted(host):
    """Whatever the port: ``ssh -L 9999:localhost:8080`` gives the browser another one."""
    for headers in ([], [("Origin", f"http://{host}")], [("Origin", f"https://{host}")]):
        assert not Gate(local=True).refusal(request(("Host", host), *headers))


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["evil.example"],
        ["evil.example:8080"],
        ["localhost.evil.example"],
        ["127.0.0.1.evil.example"],
        ["evil@localhost"],
        ["localhost:8080@evil.example"],
        ["192.168.1.5:8080"],
        ["localhost:8080", "localhost:8080"],
        [""],
    ],
)
def test_gate_other_host_is_refused(hosts):
    origin = [("Origin", f"http://{host}") for host in hosts[:1]]
    assert Gate(local=True).refusal(request(*[("Host", host) for host in hosts], *origin)).startswith("Host")


@pytest.mark.parametrize(
    "origins",
    [
        ["http://evil.example"],
        ["http://evil.example:8080"],
        ["http://localhost:9000"],
        ["http://127.0.0.1:8080"],  # the same server, but another name: a page of it has this name as Host
        ["http://localhost:8080.evil.example"],
        ["file://"],
        ["null"],
        [""],
        ["http://localhost:8080", "http://evil.example"],
    ],
)
def test_gate_other_origin_is_refused(origins):
    headers = [("Host", "localhost:8080"), *[("Origin", origin) for origin in origins]]
    assert Gate(local=True).refusal(request(*headers)).startswith("Origin")


@pytest.mark.parametrize(
    "query",
    ["websocket=wss://evil.example", "%77ebsocket=x", "playbackPath=data:,x", "token=a&websocket=x", "token=a;x", "?"],
)
def test_gate_query_that_makes_the_page_load_elsewhere_is_refused(query):
    assert Gate(local=True).refusal(request(("Host", "localhost"), path=f"/?{query}")).startswith("query")


@pytest.mark.parametrize("host", ["gpu01:8080", "gpu01.lab.example", "192.168.1.5:8080", "[fe80::1]:8080", "localhost"])
def test_gate_exposed_requires_the_token_in_query_or_cookie(host):
    gate, port = Gate(local=False, token=TOKEN), host.rpartition(":")[2] if host[-1].isdigit() else "default"
    own = ("Host", host), ("Origin", f"http://{host}")
    cookie = f"elite-token-{port}={TOKEN}"
    assert not gate.refusal(request(*own, path=f"/?token={TOKEN}"))
    assert not gate.refusal(request(*own, ("Cookie", f"a=b; {cookie}; c")))
    for path, cookies in (
        ("/", []),
        ("/", ["a=b"]),
        ("/?token=", [f"elite-token-{port}="]),
        (f"/?token={TOKEN}0", [f"{cookie}0"]),
        (f"/?token={TOKEN[:-1]}", [cookie[:-1]]),
        ("/?token=\udcff", []),
        (f"/token={TOKEN}", [f"elite-token-1={TOKEN}"]),
    ):
        sent = request(*own, *[("Cookie", value) for value in cookies], path=path)
        assert gate.refusal(sent).startswith(("token", "query")), (path, cookies)
    foreign = ("Host", host), ("Origin", "http://evil.example"), ("Cookie", cookie)
    assert gate.refusal(request(*foreign)).startswith("Origin")


# ---- the server -----------------------------------------------------------------------------------------------


def opened(folder: Path, **options) -> Viewer:
    """A viewer on one scan, drawn."""
    random_scan(np.random.default_rng(0)).tofile(folder / "0.bin")
    np.full(500, 40, "<u4").tofile(folder / "0.label")
    source = ScanSource("live", KITTI)
    source.add(file_job(folder / "0.bin", folder, HDL_64E))
    return open_window(source, first_choice(source), port=0, **options)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Iterator[Viewer]:
    with opened(tmp_path_factory.mktemp("local"), host="127.0.0.1") as viewer:
        wait_until(lambda: viewer.shown == 0)
        yield viewer


@pytest.fixture(scope="module")
def exposed(tmp_path_factory) -> Iterator[Viewer]:
    with opened(tmp_path_factory.mktemp("exposed"), host="0.0.0.0") as viewer:
        wait_until(lambda: viewer.shown == 0)
        yield viewer


def exchange(viewer: Viewer, headers: dict[str, str], path: str = "/") -> tuple[int, bytes, bytes]:
    """(status, headers, what follows them): all until the server closes, or as many bytes as the scene has."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    received = b""
    with socket.create_connection(("127.0.0.1", viewer.server.get_port()), timeout=PATIENCE_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
        while len(received) < SCENE_BYTES and (chunk := connection.recv(65536)):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


def dial(viewer: Viewer) -> ClientConnection:
    address = f"127.0.0.1:{viewer.server.get_port()}"
    return connect(
        f"ws://{address}", origin=f"http://{address}", subprotocols=[PROTOCOL], compression=None, max_size=None
    )


def send(client: ClientConnection, **message) -> None:
    client.send(msgspec.msgpack.encode(message))


def test_server_websocket_of_its_own_page_gets_the_scene(local):
    host = f"127.0.0.1:{local.server.get_port()}"
    for origin in ({"Origin": f"http://{host}"}, {}):
        status, _, scene = exchange(local, UPGRADE | {"Host": host} | origin)
        assert (status, len(scene) > SCENE_BYTES // 2) == (101, True)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1", "http://evil.example:9000"),
        ("evil.example", "http://evil.example"),  # DNS rebinding
    ],
)
def test_server_websocket_of_another_page_gets_403_and_no_scene(host, origin, local):
    status, _, body = exchange(local, UPGRADE | {"Host": host, "Origin": origin})
    assert status == 403
    assert len(body) < 200
    assert b"Open the address elite printed." in body


def test_server_page_under_another_host_is_refused(local):
    for path in ("/", "/index.html", "/missing"):
        status, _, body = exchange(local, {"Host": "evil.example"}, path)
        assert (status, len(body) < 200) == (403, True)
    assert exchange(local, {"Host": "localhost:9999"})[0] == 200


def test_server_page_cannot_connect_elsewhere_or_be_framed(local):
    status, head, _ = exchange(local, {"Host": "localhost"})
    policy = re.search(rb"Content-Security-Policy: (.*)\r\n", head)[1]
    assert status == 200
    assert b"default-src 'self'" in policy
    assert b"frame-ancestors 'self'" in policy
    assert not re.search(rb"http|ws|\*", policy)


def test_server_exposed_admits_the_page_by_token_and_its_websocket_by_cookie(exposed):
    token = re.fullmatch(rf"http://{socket.gethostname()}:\d+/\?token=([\w-]{{22}})", exposed.url)[1]
    own = {"Host": "gpu01:8080", "Origin": "http://gpu01:8080"}
    assert exchange(exposed, own)[0] == 403
    assert exchange(exposed, own | UPGRADE)[0] == 403
    assert exchange(exposed, own | UPGRADE, f"/?token={token}x")[0] == 403
    status, head, _ = exchange(exposed, own, f"/?token={token}")
    cookie = re.search(rb"Set-Cookie: (elite-token-8080=[\w-]+); Path=/; HttpOnly; SameSite=Strict", head)[1].decode()
    assert status == 200
    assert exchange(exposed, own | UPGRADE | {"Cookie": cookie})[0] == 101
    assert exchange(exposed, own | UPGRADE | {"Cookie": cookie, "Origin": "http://evil.example"})[0] == 403
    assert exchange(exposed, own | UPGRADE | {"Cookie": "elite-token-8080=\xff"})[0] == 403


def test_server_token_is_required_on_this_machine_on_request(tmp_path, exposed):
    with opened(tmp_path, host="127.0.0.1", require_token=True) as viewer:
        path = viewer.url.partition("/?")[2]
        assert path != exposed.url.partition("/?")[2]  # new at each start
        assert exchange(viewer, {"Host": "localhost"})[0] == 403
        assert exchange(viewer, {"Host": "localhost"}, f"/?{path}")[0] == 200
        assert exchange(viewer, {"Host": "evil.example"}, f"/?{path}")[0] == 403


def test_server_share_request_opens_no_tunnel(local, monkeypatch):
    asked = threading.Semaphore(0)
    monkeypatch.setattr("viser._viser.ViserTunnel", lambda *args: pytest.fail("a tunnel was opened"))
    for name in ("request_share_url", "disconnect_share_url"):
        do_nothing = getattr(GuardedServer, name)
        assert do_nothing is not getattr(viser.ViserServer, name)
        monkeypatch.setattr(GuardedServer, name, lambda self, do=do_nothing: (do(self), asked.release()))
    with dial(local) as client:
        send(client, type="ShareUrlRequest")
        send(client, type="ShareUrlDisconnect")
        assert asked.acquire(timeout=PATIENCE_S)
        assert asked.acquire(timeout=PATIENCE_S)
    assert local.server._share_tunnel is None


def test_server_large_message_ends_its_connection(local):
    with dial(local) as client:
        client.send(b"\0" * (MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosedError, match="1009"):
            list(client)


CAMERA = {
    "type": "ViewerCameraMessage",
    **{"wxyz": (1.0, 0.0, 0.0, 0.0), "position": (1.0, 2.0, 3.0), "look_at": (0.0, 0.0, 0.0)},
    **{"up_direction": (0.0, 0.0, 1.0), "fov": 1.0, "near": 0.1, "far": 9.0, "image_height": 10, "image_width": 10},
}


def test_server_upload_is_not_kept(local):
    """viser would keep a file of any size for any control."""
    server, moved = local.server, threading.Event()
    upload = {"source_component_uuid": next(iter(server.gui._gui_input_handle_from_uuid)), "transfer_uuid": "a"}
    about = {"filename": "a", "mime_type": "text/plain", "part_count": 1000, "size_bytes": 10**9}
    before = set(server.get_clients())
    with dial(local) as page:
        send(page, **CAMERA)
        wait_until(lambda: set(server.get_clients()) - before)
        (number,) = set(server.get_clients()) - before
        client = server.get_clients()[number]
        client.camera.on_update(lambda _: moved.set())
        send(page, type="FileTransferStartUpload", **upload, **about)
        for i in range(20):
            send(page, type="FileTransferPart", **upload, part_index=i, content=bytes(1000))
        send(page, **CAMERA | {"position": (4.0, 5.0, 6.0)})
        assert moved.wait(10)  # the messages before have been handled
        assert isinstance(server._websock_server._live_connections[number], MeteredConnection)
        assert server.gui._current_file_upload_states == {}
        assert client.gui._current_file_upload_states == {}


@pytest.mark.parametrize(("count", "size", "least_s"), [(60, 1, 0.45), (10, 10_000, 0.75)], ids=["messages", "bytes"])
def test_metered_connection_reads_no_faster_than_its_rates(count, size, least_s, monkeypatch):
    """At 100 messages and 100,000 bytes per second, except for those of 0.1 s."""
    for name, value in (("MESSAGES_PER_S", 100), ("BYTES_PER_S", 100_000), ("BURST_S", 0.1)):
        monkeypatch.setattr(f"elite.viewer.gate.{name}", value)

    async def seconds_to_read() -> float:
        all_read = asyncio.Event()

        async def read(connection) -> None:
            for _ in range(count):
                await connection.recv()
            all_read.set()

        async with serve(read, "127.0.0.1", 0, create_connection=MeteredConnection) as server:
            port = server.sockets[0].getsockname()[1]
            async with asyncio_connect(f"ws://127.0.0.1:{port}") as client:
                began = time.monotonic()
                for _ in range(count):
                    await client.send(bytes(size))
                await all_read.wait()
                return time.monotonic() - began

    assert least_s < asyncio.run(seconds_to_read()) < 10


def test_server_connection_without_a_request_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("elite.viewer.gate.REQUEST_S", 0.1)
    with (
        opened(tmp_path, host="127.0.0.1") as viewer,
        socket.create_connection(("127.0.0.1", viewer.server.get_port()), timeout=PATIENCE_S) as connection,
    ):
        assert connection.recv(1) == b""


def test_server_damaged_message_is_logged_and_not_printed(local, caplog):
    """Python prints errors of a logger that has no handler."""
    with dial(local) as client:
        client.send("text where viser expects bytes")
        with pytest.raises(ConnectionClosedError, match="1011"):
            list(client)
    wait_until(lambda: "connection handler failed" in caplog.messages)
    assert {record.name for record in caplog.records} == {"elite.viewer.server"}
    assert logging.getLogger("elite.viewer.server").handlers


def test_server_viser_that_starts_in_another_way_is_refused(monkeypatch):
    """As if viser had imported the function under another name: its server would listen, without the gate."""
    names = {name: getattr(websockets, name) for name in ("datastructures", "exceptions")}
    started = []

    def serve(*args, **options):
        started.append(threading.current_thread())
        return original(*args, **options)

    original = websockets.asyncio.server.serve
    unpatched = SimpleNamespace(asyncio=SimpleNamespace(server=SimpleNamespace(serve=serve)), **names)
    monkeypatch.setattr(viser.infra._infra, "websockets", unpatched)
    with pytest.raises(ConfigError, match=rf"viser {re.escape(viser.__version__)}: .* can be guarded"):
        GuardedServer(listen("127.0.0.1", 0))
    assert started
    assert not any(thread.is_alive() for thread in started)
    assert websockets.asyncio.server.serve is original


# ---- addresses ------------------------------------------------------------------------------------------------


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_server_ipv6_address_is_bracketed_and_local():
    server = GuardedServer(listen("::1", 0))
    assert re.fullmatch(r"http://\[::1\]:\d+", server.url)
    server.stop()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_server_loopback_url_has_no_token(host):
    server = GuardedServer(listen(host, 0))
    assert server.url == f"http://127.0.0.1:{server.get_port()}"
    server.stop()


@pytest.mark.parametrize(("host", "port"), [("a..b", 1), ("\0", 1), ("192.0.2.1", 1), ("::", 65536), ("", -1)])
def test_listen_impossible_address_is_refused(host, port):
    with pytest.raises(ConfigError, match=rf"expected a free port .*, found .*--host\.|--port: .* found {port}\."):
        listen(host, port)


# ---- the terminal, and how it ends ----------------------------------------------------------------------------


def test_window_leaves_the_output_of_other_threads_alone(tmp_path, capsys):
    ended, printed = threading.Event(), []

    def count() -> None:
        while not ended.is_set():
            print(len(printed))
            printed.append(str(len(printed)))
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    with opened(tmp_path, host="127.0.0.1"):
        pass
    ended.set()
    thread.join()
    assert capsys.readouterr().out.split() == printed


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored, and commands keep it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_view_signal_closes_the_window(number, status, tiny_kitti, monkeypatch, capsys):
    wait, servers = Viewer.wait, []

    def wait_with_signal(viewer: Viewer) -> None:
        servers.append(viewer.server)
        os.kill(os.getpid(), number)
        wait(viewer)

    monkeypatch.setattr(Viewer, "wait", wait_with_signal)
    assert main(["view", str(tiny_kitti), "--port", "0"]) == status
    assert capsys.readouterr().err == ("elite: stopped by SIGTERM\n" if status else "")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", servers[0].get_port()))


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0)])
def test_stream_view_signal_prints_the_summary_and_closes_the_window(number, status, tmp_path, monkeypatch, capsys):
    save_student(SPVCNN(channels=4, cells=(50, 50, 10)), tmp_path / "student.safetensors")
    (tmp_path / "in").mkdir()
    monkeypatch.setattr(Stream, "_follow", lambda *_: os.kill(os.getpid(), number))
    places = [str(tmp_path / "in"), "--checkpoint", str(tmp_path / "student.safetensors"), "-o", str(tmp_path / "out")]
    assert main(["stream", *places, "--view", "--port", "0"]) == status
    printed = capsys.readouterr()
    assert "0 scans labelled" in printed.out
    port = int(re.search(r"open http://127\.0\.0\.1:(\d+) ", printed.err)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_open_data_window_refuses_a_taken_port(tiny_kitti):
    """It is bound once and for all; viser would take the next port without a word."""
    source = open_data(tiny_kitti)
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match="in use"):
        open_window(source, first_choice(source), host="127.0.0.1", port=taken.getsockname()[1])
