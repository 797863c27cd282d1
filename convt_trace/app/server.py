"""What the app's server sends beside Streamlit's own: player, editor and copy button, compressed.

Streamlit sends its JavaScript as it lies on the disk. That is several megabytes for every new
browser, and a class opens the link at the same moment. `Compressed` compresses each file once, caches
the bytes, and tells the browser with the first answer which scripts the page will ask for. The app::

    app = st.App(
        __file__, routes=server.routes(), middleware=server.middleware(), lifespan=server.lifespan
    )

`st.App` has to be called by that name in the script itself: ``streamlit run`` looks for it in the
text of the file, without running it.

Needs Streamlit and Starlette.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import os
import posixpath
import re
import socket
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config

from convt_trace.app import watched
from convt_trace.engine.memory import give_back_freed_memory

try:
    import brotli
except ImportError:
    brotli = None

#: Where they live, under the app's own address (and its ``server.baseUrlPath``).
PLAYER, EDITOR, COPY_BUTTON = "/player", "/editor", "/copy"

_PLAYER_FOLDER = Path(__file__).parents[1] / "player"
_APP_FOLDER = Path(__file__).parent

#: Files under these are compressed once and cached: Streamlit's own, and ours.
_OURS = (f"{PLAYER}/", f"{EDITOR}/", f"{COPY_BUTTON}/")
_COMPRESSED_PATHS = ("/static/", *_OURS)
_COMPRESSED_TYPES = frozenset(
    {"text/javascript", "application/javascript", "text/css", "application/json", "image/svg+xml"}
)
_SMALLEST = 1000
_CACHED_BYTES = 32 * 2**20

_Edit = Callable[[int, MutableHeaders], None]


def routes() -> list[BaseRoute]:
    """Return the routes for `st.App`: the player, the editor and the copy button."""
    return [
        Mount(PLAYER, _Files(_PLAYER_FOLDER, "*.js", "*.css")),
        Mount(EDITOR, _Files(_APP_FOLDER / "editor", "*.js", "*.css")),
        watched.HEALTH,
        Mount(COPY_BUTTON, _Files(_APP_FOLDER, "copy_button.js", "copy_button.css")),
    ]


def middleware() -> list[Middleware]:
    """Return the middleware for `st.App`; it runs before Streamlit's own."""
    return [
        Middleware(WithoutDelay),
        Middleware(Guarded, embed=embedders()),
        Middleware(Compressed),
    ]


@asynccontextmanager
async def lifespan(_: object) -> AsyncIterator[None]:
    """Make the process fit for many visitors; `st.App` calls it once, before any of them.

    The script has been imported by then, and has imported all that its pages need.
    """
    # Two stores for `malloc`: the interpreter's lock lets little more than one thread at it.
    give_back_freed_memory(arenas=2)
    # Every run has a thread of its own, and torch starts a team of threads for each; with many
    # visitors the teams only wait for each other.
    torch.set_num_threads(1)
    watched.start()
    settle()
    yield


def url(path: str) -> str:
    """Return the address of one of our files for a browser, such as ``url("/player/player.js")``."""
    return _base() + path


def _base() -> str:
    """Return ``server.baseUrlPath`` as ``/base``, or nothing; Streamlit takes it in any form."""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}" if base else ""


def settle() -> None:
    """Spare the garbage collector everything imported so far.

    Streamlit collects all generations after every script run. With torch loaded each of those holds
    the interpreter for about 120 ms, mostly to look at modules that never go away. `gc.freeze` makes
    it skip them.
    """
    for late in ("pandas", "pyarrow"):  # Streamlit imports them with the first table
        import_module(late)
    gc.collect()
    gc.freeze()


class _Files(StaticFiles):
    """A folder of which only the names that match are served."""

    def __init__(self, folder: Path, *patterns: str) -> None:
        # Some installers make a package of symbolic links; the folder is ours either way.
        super().__init__(directory=folder, check_dir=False, follow_symlink=True)
        self._patterns = patterns

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        if any(fnmatchcase(path, pattern) for pattern in self._patterns):
            return super().lookup_path(path)
        return "", None

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = (
            "no-cache"  # cached, but asked for whether it is the same
        )
        return response


class WithoutDelay:
    """ASGI middleware: what is sent leaves at once, however small.

    asyncio switches Nagle's algorithm off for sockets that name TCP as their protocol, and Streamlit
    opens its own as ``socket.socket(family)``, which names none. With it on, the body of a small file
    waits until the browser has acknowledged its headers: 40 ms on Linux, for each of a hundred files,
    and again between the messages of a page's run.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        # uvicorn's `receive` belongs to the object that has the connection; another server may differ.
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        connection = transport.get_extra_info("socket") if transport is not None else None
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._app(scope, receive, send)


def embedders() -> str:
    """Return the origins whose pages may show the app in a frame, as the operator names them.

    They stand in the environment: ``CONVT_EMBED="https://course.example https://wiki.example"``.

    Raises
    ------
    ValueError
        If something there is no origin.
    """
    origins = os.environ.get("CONVT_EMBED", "").split()
    for origin in origins:
        if not re.fullmatch(r"\*|https?://[\w.*-]+(:\d+)?", origin, re.ASCII):
            raise ValueError(
                f"CONVT_EMBED has {origin!r}: write origins, as https://course.example."
            )
    return " ".join(origins)


class Guarded:
    """ASGI middleware: other sites show the app in a frame only where the operator says so.

    Browsers also take each file for what it is declared to be, and tell other sites no address: a link
    holds a whole case.

    Parameters
    ----------
    app : ASGIApp
    embed : str
        Origins besides our own, with blanks between them; ``*`` for all.
    """

    def __init__(self, app: ASGIApp, embed: str = "") -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": f"frame-ancestors 'self' {embed}".strip(),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, _editing(send, lambda _, headers: self._guard(headers)))

    def _guard(self, headers: MutableHeaders) -> None:
        for name, value in self._headers.items():
            headers.setdefault(name, value)


class Compressed:
    """ASGI middleware: files go out compressed, documents say which scripts they will need.

    Starlette's GZipMiddleware and starlette-compress compress again for every browser, which is
    Streamlit's reason to send its files uncompressed. Here a file is asked for by HEAD, and its
    compressed bytes are cached under its path and ETag, so a file that changes on the disk is
    noticed, and one that does not costs a `stat`. Streamlit's own have a hash in their names and
    never change: those are sent without asking, a hundred of them for each new browser.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Read here, not at import: Starlette builds this when the configuration is complete.
        self._base = _base()
        self._packed, self._lasting = _SentFiles(), _SentFiles()
        self._under_way: dict[_File, asyncio.Task[bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root).removeprefix(self._base)
        if path.startswith(_OURS):
            # Streamlit puts the base in front of its own routes only.
            scope = {**scope, "path": root + path}
        if path.startswith(_COMPRESSED_PATHS):
            await self._file(path, scope, receive, send)
        else:
            await self._app(scope, receive, _editing(send, self._announce(root)))

    def _announce(self, root: str) -> _Edit:
        """Return an edit that names the page's scripts, if the answer is a page."""

        def edit(status: int, headers: MutableHeaders) -> None:
            if status == 200 and headers.get("content-type", "").startswith("text/html"):
                headers.append("Link", _preloads(root + self._base))

        return edit

    async def _file(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope)
        whole = scope["method"] == "GET" and "range" not in asked
        encoding = encoding_for(asked.get("accept-encoding", ""))
        if not whole or encoding is None:
            await self._app(scope, receive, _editing(send, _vary))
            return
        file = _File(posixpath.normpath(path), encoding)
        lasting = None if "if-none-match" in asked else self._lasting.get(file)
        if lasting is not None:
            await _answer(send, 200, lasting.headers, lasting.body)
            return
        # Without Accept-Encoding nobody further in compresses it as well.
        plain = {**scope, "headers": [h for h in scope["headers"] if h[0] != b"accept-encoding"]}
        status, raw, _ = await _ask(self._app, {**plain, "method": "HEAD"})
        headers = MutableHeaders(raw=raw)
        if status == 304:
            _weaken(headers)
            await _answer(send, status, headers, b"")
        elif status == 200 and (_worth_it(headers) or _is_lasting(headers)):
            found = await self._read(file, headers, plain)
            await _answer(send, status, found.headers, found.body)
        else:
            await self._app(scope, receive, _editing(send, _vary))

    async def _read(self, file: _File, headers: MutableHeaders, scope: Scope) -> _Found:
        """Return a file as it is sent, and remember one that never changes."""
        lasts = _is_lasting(headers)
        if _worth_it(headers):
            body = await self._compressed(file._replace(etag=headers["etag"]), scope)
            _weaken(headers)
            headers["Content-Encoding"] = file.encoding
            headers["Content-Length"] = str(len(body))
        else:
            _, _, body = await _ask(self._app, scope)
            _vary(200, headers)
        found = _Found(headers, body)
        if lasts and int(headers["content-length"]) == len(body):
            self._lasting.put(file, found)
        return found

    async def _compressed(self, file: _File, scope: Scope) -> bytes:
        """Return a file's compressed bytes; browsers that ask at the same time share the work."""
        cached = self._packed.get(file)
        if cached is not None:
            return cached.body
        task = self._under_way.get(file)
        if task is None:
            task = asyncio.create_task(self._compress(file, scope))
            self._under_way[file] = task
            task.add_done_callback(lambda _: self._under_way.pop(file))
        # Shielded: a browser that goes away must not take the others' file with it.
        return await asyncio.shield(task)

    async def _compress(self, file: _File, scope: Scope) -> bytes:
        status, raw, body = await _ask(self._app, scope)
        packed = await run_in_threadpool(compress, file.encoding, body)
        if status == 200 and Headers(raw=raw).get("etag") == file.etag:
            self._packed.put(file, _Found(Headers(raw=raw), packed))
        return packed


class _File(NamedTuple):
    """One form of a file as it was at one time; a file that never changes needs no ETag."""

    path: str
    encoding: str
    etag: str = ""


class _Found(NamedTuple):
    """A file as it is sent."""

    headers: Headers
    body: bytes


class _SentFiles:
    """Files as they are sent; the one that was not asked for longest goes first."""

    def __init__(self, limit: int = _CACHED_BYTES) -> None:
        self._files: OrderedDict[_File, _Found] = OrderedDict()
        self._room = limit

    def get(self, file: _File) -> _Found | None:
        found = self._files.get(file)
        if found is not None:
            self._files.move_to_end(file)
        return found

    def put(self, file: _File, found: _Found) -> None:
        before = self._files.pop(file, None)
        self._files[file] = found
        self._room += len(before.body) if before else 0
        self._room -= len(found.body)
        while self._room < 0:
            _, dropped = self._files.popitem(last=False)
            self._room += len(dropped.body)


def compress(encoding: str, body: bytes) -> bytes:
    """Return the bytes as small as half a second gets plotly.js; it is done once per file."""
    return _ENCODERS[encoding](body)


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 9, mtime=0),
}
if brotli is not None:
    # A sixth smaller than gzip. Browsers offer it over HTTPS and from localhost only.
    _ENCODERS = {"br": lambda body: bytes(brotli.compress(body, quality=9)), **_ENCODERS}


def encoding_for(header: str) -> str | None:
    """Return the smallest encoding that an Accept-Encoding header takes, or None.

    >>> encoding_for("gzip, deflate"), encoding_for("gzip;q=0.5, *;q=0"), encoding_for("gzip;q=0")
    ('gzip', 'gzip', None)
    """
    weights = {"*": 0.0}
    for item in header.lower().split(","):
        name, _, weight = item.partition(";")
        _, _, number = weight.partition("=")
        try:
            weights[name.strip()] = float(number or 1)
        except ValueError:
            weights[name.strip()] = 0.0
    taken = (name for name in _ENCODERS if weights.get(name, weights["*"]) > 0)
    return next(taken, None)


def _preloads(base: str) -> str:
    """Return the Link header of a page: what it will ask for, before it knows that it will."""
    modules = sorted(path.name for path in _PLAYER_FOLDER.glob("*.js"))
    return ", ".join(
        [
            f"<{base}{PLAYER}/player.css>; rel=preload; as=style",
            *(f"<{base}{PLAYER}/{name}>; rel=modulepreload" for name in modules),
        ]
    )


def _worth_it(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    size = int(headers.get("content-length", 0))
    fresh = "content-encoding" not in headers and "etag" in headers
    return fresh and kind in _COMPRESSED_TYPES and size >= _SMALLEST


def _is_lasting(headers: Headers) -> bool:
    """Tell whether a file never changes under its name, as Streamlit says of its own."""
    size = int(headers.get("content-length", _CACHED_BYTES))
    return "immutable" in headers.get("cache-control", "") and size < _CACHED_BYTES // 4


def _weaken(headers: MutableHeaders) -> None:
    """Mark an answer as one of several forms of the same file: a strong ETag is for one of them."""
    etag = headers.get("etag", "")
    if etag.startswith('"'):
        headers["ETag"] = f"W/{etag}"
    headers.add_vary_header("Accept-Encoding")


def _vary(status: int, headers: MutableHeaders) -> None:
    headers.add_vary_header("Accept-Encoding")


# -- requests and answers of ASGI ------------------------------------------------------------------


def _editing(send: Send, edit: _Edit) -> Send:
    """Return a `send` that has `edit` change the answer's headers."""

    async def edited(message: Message) -> None:
        if message["type"] == "http.response.start":
            edit(message["status"], MutableHeaders(scope=message))
        await send(message)

    return edited


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers.raw})
    await send({"type": "http.response.body", "body": body})


async def _ask(app: ASGIApp, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Send the app a request of our own; return the status, headers and body of its answer."""
    status, headers, body = 0, [], bytearray()
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()  # nobody hangs up; the app cancels this when it is done
        sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return status, headers, bytes(body)
