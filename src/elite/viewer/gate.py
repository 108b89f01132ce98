"""The gate in front of the viewer: it checks every request before viser receives it.

Any web page can make a browser connect to this machine, and viser checks neither Host nor Origin. It has no public
interface for that. This is the only module that depends on how viser starts its server: ``pyproject.toml`` bounds
viser's version, and ``tests/test_viewer_gate.py`` fails when a release can be reached around the gate.
"""

import asyncio
import inspect
import logging
import re
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import rich
import viser
import viser.infra
import websockets.asyncio.server
from viser._messages import FileTransferPart, FileTransferStartUpload
from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response

from elite.errors import ConfigError, first_line

MESSAGE_BYTES = 2**20  # of one message from a page; they are clicks, camera poses and values of controls
MESSAGES_PER_S, BYTES_PER_S = 500, 2**22  # of one connection; a page sends at most one message per drawn picture
BURST_S = 2.0  # a connection may send what belongs to so many seconds at once
REQUEST_S = 10.0  # time limit of the request of a new connection

_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]{1,5})?")
_AUTHORITY = re.compile(r"([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_QUERY = re.compile(r"(token=[A-Za-z0-9_-]*)?")
# The browser itself keeps the page from connecting elsewhere, and other pages from showing it in a frame.
_POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"

# Without a handler, Python prints errors: a port scan would fill the terminal with tracebacks.
_LOG = logging.getLogger("elite.viewer.server")
_LOG.addHandler(logging.NullHandler())

_STARTING = threading.Lock()
_Check = Callable[[ServerConnection, Request], "Awaitable[Response | None] | Response | None"]


@dataclass(frozen=True)
class Gate:
    """Rule for the requests that reach the viewer.

    A browser states the address that it connects to (Host) and, for a websocket, the page that opened it (Origin).
    No page can change either. A program can, so only the token keeps programs out.

    Attributes:
        local: the server listens on a loopback address, and Host must be one too. Otherwise any Host is accepted
            together with the token, because a machine cannot list its names in other networks.
        token: required in the page's address, or in the cookie that the page gets for it; None = not required.
    """

    local: bool
    token: str | None = None

    def refusal(self, request: Request) -> str:
        """Return the reason to refuse a request, empty to accept it."""
        hosts, origins = ([v.lower() for v in request.headers.get_all(name)] for name in ("Host", "Origin"))
        if len(hosts) != 1 or not (_LOOPBACK if self.local else _AUTHORITY).fullmatch(hosts[0]):
            return "Host: expected localhost, 127.0.0.1 or [::1], found another name. Open the address elite printed."
        if any(origin not in (f"http://{hosts[0]}", f"https://{hosts[0]}") for origin in origins):
            return "Origin: expected the viewer's own page, found another one. Open the address elite printed."
        if not _QUERY.fullmatch(_query(request)):
            # viser's page would connect to ?websocket=URL or load ?playbackPath=URL, and run scripts from there.
            return "query: expected none or ?token=TOKEN, found another one. Remove it."
        if self.token is not None and not (self._in_query(request) or self._in_cookie(request)):
            return "token: expected that of this viewer, found none or another one. Open the address elite printed."
        return ""

    def before(self, check: _Check) -> _Check:
        """Return ``check``, called only with accepted requests; its responses get the gate's headers."""

        async def guarded(connection: ServerConnection, request: Request) -> Response | None:
            if reason := self.refusal(request):
                return connection.respond(HTTPStatus.FORBIDDEN, f"{reason}\n")
            response = check(connection, request)
            if inspect.isawaitable(response):
                response = await response
            if response is not None:
                response.headers["Content-Security-Policy"] = _POLICY
                response.headers["X-Content-Type-Options"] = "nosniff"
                if self._in_query(request):
                    # The page opens its websocket without the query.
                    response.headers["Set-Cookie"] = f"{self._cookie(request)}; Path=/; HttpOnly; SameSite=Strict"
            return response

        return guarded

    def _in_query(self, request: Request) -> bool:
        return self.token is not None and _equal(_query(request), f"token={self.token}")

    def _in_cookie(self, request: Request) -> bool:
        items = [item for value in request.headers.get_all("Cookie") for item in value.split(";")]
        return any(_equal(item.strip(), self._cookie(request)) for item in items)

    def _cookie(self, request: Request) -> str:
        """Cookies are shared by all ports of a host; the port in the name, as the browser has it, keeps them apart."""
        port = re.search(r":([0-9]+)$", request.headers["Host"])
        return f"elite-token-{port[1] if port else 'default'}={self.token}"


class MeteredConnection(ServerConnection):
    """Connection that reads at most MESSAGES_PER_S and BYTES_PER_S, so that a page that sends more has to wait.

    viser starts tasks for each message that it reads, however many are running.
    """

    _paid = 0.0  # time at which the messages up to now are within the rates

    async def recv(self, decode: bool | None = None) -> Any:  # type: ignore[override]
        await asyncio.sleep(max(0.0, self._paid - time.monotonic() - BURST_S))
        message = await super().recv(decode)
        cost = max(1 / MESSAGES_PER_S, len(message) / BYTES_PER_S)
        self._paid = max(self._paid, time.monotonic()) + cost
        return message


class GuardedServer(viser.ViserServer):
    """viser's server behind a gate, without uploads and without tunnels to other machines.

    Attributes:
        url: the address for a browser, with the token if one is required.

    Args:
        listener: a bound socket, which the server closes.
        require_token: also where only this machine can connect.

    Raises:
        ConfigError: this viser does not start its server in the way that the gate relies on.
    """

    def __init__(self, listener: socket.socket, *, require_token: bool = False) -> None:
        host, port = listener.getsockname()[:2]
        local = ip_address(host).is_loopback
        token = secrets.token_urlsafe(16) if require_token or not local else None
        self.url = f"http://{_authority(host, port)}" + (f"/?token={token}" if token else "")
        # viser prints where it listens; the console's capture holds for this thread alone.
        with _guarded_start(listener, Gate(local, token)) as is_guarded, rich.get_console().capture():
            super().__init__(host, port, verbose=False)
        for kind in (FileTransferStartUpload, FileTransferPart):  # viser would keep any number of files in memory
            self._websock_server.unregister_handler(kind)
        if not is_guarded():
            self.stop()
            listener.close()
            raise ConfigError(
                f"viser {viser.__version__}: expected a release whose server can be guarded, found another one. "
                "Run 'pip install \".[view]\"' in the clone of elite."
            )

    def request_share_url(self, verbose: bool = True) -> None:
        """Do nothing: viser would open a tunnel to a public server, whenever a page sends a request for it."""

    def disconnect_share_url(self) -> None:
        """Do nothing: there is never a tunnel."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address of this machine, IPv4 if a name has both kinds; port 0 = a free one.

    Raises:
        ConfigError: the port is taken or out of range, or the host is not an address of this machine.
    """
    if not 0 <= port < 2**16:
        raise ConfigError(f"--port: expected 0 to 65535, found {port}. Set --port 0 for any free one.")
    try:
        found = socket.getaddrinfo(host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, (address, _, *scope) = min(found, key=lambda entry: entry[0] != socket.AF_INET)
        return socket.create_server((address, port, *scope), family=family)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{host}:{port}: expected a free port of this machine, found '{first_line(error)}'. Close the program that "
            "uses it, or set another --port (0 = any free one) or --host."
        ) from error


@contextmanager
def _guarded_start(listener: socket.socket, gate: Gate) -> Iterator[Callable[[], bool]]:
    """Within the block, a server that viser starts accepts connections of ``listener`` that pass the gate.

    viser starts its server while it is constructed, in a thread, by ``websockets.asyncio.server.serve``. That name is
    replaced meanwhile, for viser only. Yields whether it was used.
    """
    guarded = threading.Event()

    @asynccontextmanager
    async def start(handler: Any, process_request: _Check, options: dict[str, Any]) -> AsyncIterator[Server]:
        options |= {"sock": listener, "max_size": MESSAGE_BYTES, "open_timeout": REQUEST_S, "logger": _LOG}
        options["create_connection"] = MeteredConnection
        async with original(handler, process_request=gate.before(process_request), **options) as server:
            guarded.set()
            yield server
        rich.get_console().begin_capture()  # at its end, this thread prints one more line

    def serve(handler: Any, *address: Any, **options: Any) -> Any:
        if getattr(handler, "__module__", "") != viser.infra.WebsockServer.__module__:
            return original(handler, *address, **options)
        return start(handler, options.pop("process_request"), options)

    with _STARTING:
        original = websockets.asyncio.server.serve
        websockets.asyncio.server.serve = serve  # type: ignore[assignment,misc]
        try:
            yield guarded.is_set
        finally:
            websockets.asyncio.server.serve = original


def _query(request: Request) -> str:
    return request.path.partition("?")[2]


def _equal(found: str, expected: str) -> bool:
    """Compare in a time that does not depend on where the texts differ."""
    return secrets.compare_digest(found.encode(errors="surrogateescape"), expected.encode())


def _authority(host: str, port: int) -> str:
    """Host and port as in a URL; the machine's name where all its addresses are listened on."""
    name = socket.gethostname() if ip_address(host).is_unspecified else host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
