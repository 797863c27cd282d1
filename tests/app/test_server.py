"""What the server sends: each file compressed once, nothing but what is to be sent, and hints."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import brotli
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from streamlit import config
from streamlit.web.server.app_discovery import discover_asgi_app
from websockets.sync.client import connect

from convt_trace.app import server

PLOTLY = f"{server.PLAYER}/plotly.js"
SCRIPT = "const numbers = [0, 1, 2, 3];\n" * 200


class Counted:
    """Stands in for `server.compress` and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, encoding: str, body: bytes) -> bytes:
        self.calls += 1
        return server._ENCODERS[encoding](body)


@dataclass(frozen=True)
class Answer:
    """What came over the wire, compressed if it came so."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as a browser reads it."""
        unpack = {"gzip": gzip.decompress, "br": brotli.decompress, None: bytes}
        return unpack[self.headers["content-encoding"]](self.body).decode()


@dataclass(frozen=True)
class Client:
    """A browser that takes gzip, by default, and asks for one thing at a time."""

    port: int

    def ask(self, method: str, path: str, **headers: str) -> Answer:
        """Send a request; ``if_none_match="..."`` is a header."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"accept-encoding": "gzip, deflate", **named})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET request."""
        return self.ask("GET", path, **headers)


@pytest.fixture
def compressions(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(server, "compress", counted)
    return counted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder such as Streamlit's own static files."""
    (tmp_path / "app.js").write_text(SCRIPT)
    (tmp_path / "small.js").write_text("1;")
    (tmp_path / "picture.png").write_bytes(bytes(5000))
    (tmp_path / "page.html").write_text("<p>hello</p>" * 500)
    return tmp_path


async def undelayed(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with whether this very connection sends small packets at once."""
    connection = receive.__self__.transport.get_extra_info("socket")  # type: ignore[attr-defined]
    option = str(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    if scope["type"] == "http":
        await PlainTextResponse(option)(scope, receive, send)
        return
    asked = WebSocket(scope, receive, send)
    await asked.accept()
    await asked.send_text(option)
    await asked.close()


@pytest.fixture
def client(folder: Path, compressions: Counted) -> Iterator[Client]:
    """Serve our routes and middleware around an app such as Streamlit's."""

    async def echo(asked: WebSocket) -> None:
        await asked.accept()
        await asked.send_text(await asked.receive_text())
        await asked.close()

    def packed(_: object) -> Response:
        return Response(
            gzip.compress(SCRIPT.encode()),
            media_type="text/javascript",
            headers={"Content-Encoding": "gzip", "ETag": '"packed"'},
        )

    class Lasting(StaticFiles):
        """As Streamlit serves its own files, whose names hold a hash."""

        def file_response(self, *args: Any, **named: Any) -> Response:
            response = super().file_response(*args, **named)
            response.headers["Cache-Control"] = "public, immutable, max-age=31536000"
            return response

    app = Starlette(
        routes=[
            *server.routes(),
            Mount("/static/lasting", Lasting(directory=folder)),
            Route("/static/packed.js", packed),
            WebSocketRoute("/static/socket", echo),
            Mount("/static", StaticFiles(directory=folder)),
            Mount("/undelayed", undelayed),
            Route("/data", lambda _: PlainTextResponse(SCRIPT)),
            Route("/gone", lambda _: HTMLResponse("no such page", status_code=404)),
            Route("/{page:path}", lambda _: HTMLResponse("<!doctype html>")),
        ],
        middleware=server.middleware(),
    )
    # Opened as Streamlit opens it.
    listening = socket.socket(family=socket.AF_INET)
    listening.bind(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=running.run, args=([listening],))
    thread.start()
    deadline = time.monotonic() + 10
    while not running.started:
        assert thread.is_alive() and time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    yield Client(port)
    running.should_exit = True
    thread.join(10)


def test_a_file_is_compressed_once_for_all_browsers(client: Client, compressions: Counted) -> None:
    answers = [client.get(f"/static/app.js?visit={number}") for number in range(5)]
    assert compressions.calls == 1
    for answer in answers:
        assert answer.text == SCRIPT
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"].startswith("text/javascript")
        assert int(answer.headers["content-length"]) < len(SCRIPT) / 4


def test_browsers_that_ask_at_the_same_time_share_the_work(
    client: Client, compressions: Counted
) -> None:
    with ThreadPoolExecutor(8) as browsers:
        answers = list(browsers.map(lambda _: client.get("/static/app.js"), range(16)))
    assert {answer.text for answer in answers} == {SCRIPT}
    assert compressions.calls == 1


def test_a_changed_file_is_noticed(client: Client, folder: Path, compressions: Counted) -> None:
    client.get("/static/app.js")
    (folder / "app.js").write_text(SCRIPT * 2)
    assert client.get("/static/app.js").text == SCRIPT * 2
    assert compressions.calls == 2


@pytest.mark.parametrize("name", ["app.js", "small.js", "picture.png"])
def test_a_file_that_never_changes_is_read_once(client: Client, folder: Path, name: str) -> None:
    first = client.get(f"/static/lasting/{name}")
    (folder / name).unlink()
    again = client.get(f"/static/lasting/{name}")
    assert (again.status, again.body) == (200, first.body)
    drop = {"date"}
    assert {k: v for k, v in again.headers.items() if k not in drop} == {
        k: v for k, v in first.headers.items() if k not in drop
    }
    assert client.get(f"/static/lasting/{name}", accept_encoding="identity").status == 404


def test_a_file_that_never_changes_is_still_compressed_and_not_sent_again(client: Client) -> None:
    for _ in range(2):
        answer = client.get("/static/lasting/app.js")
        assert (answer.headers["content-encoding"], answer.text) == ("gzip", SCRIPT)
        again = client.get("/static/lasting/app.js", if_none_match=answer.headers["etag"])
        assert (again.status, again.body) == (304, b"")
    plain = client.get("/static/lasting/small.js")
    assert (plain.headers["content-encoding"], plain.text) == (None, "1;")


def test_brotli_goes_to_browsers_that_take_it(client: Client, compressions: Counted) -> None:
    sizes = {}
    for accepted in ("gzip, deflate, br, zstd", "gzip, deflate", "br;q=0, gzip", "br", "*") * 2:
        answer = client.get("/static/app.js", accept_encoding=accepted)
        assert answer.text == SCRIPT
        sizes[answer.headers["content-encoding"]] = len(answer.body)
    assert sizes["br"] < sizes["gzip"]
    assert compressions.calls == 2


def test_gzip_is_enough_where_brotli_is_not_installed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(server._ENCODERS, "br")
    answer = client.get("/static/app.js", accept_encoding="gzip, deflate, br")
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("accepted", ["identity", "zstd", "gzip;q=0", "gzip;q=x", "*;q=0", ""])
def test_a_browser_that_takes_neither_gets_the_file_as_it_is(
    client: Client, compressions: Counted, accepted: str
) -> None:
    answer = client.get("/static/app.js", accept_encoding=accepted)
    assert answer.text == SCRIPT
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert compressions.calls == 0


def test_a_browser_that_has_the_file_is_told_so(client: Client, compressions: Counted) -> None:
    first = client.get("/static/app.js")
    again = client.get("/static/app.js", if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["vary"] == "Accept-Encoding"
    assert compressions.calls == 1


def test_the_etag_is_weak_because_there_are_two_forms_of_the_file(client: Client) -> None:
    packed = client.get("/static/app.js").headers["etag"]
    plain = client.get("/static/app.js", accept_encoding="identity").headers["etag"]
    assert packed == f"W/{plain}"


@pytest.mark.parametrize("path", ["small.js", "picture.png", "page.html", "packed.js"])
def test_what_gains_nothing_is_left_alone(
    client: Client, folder: Path, compressions: Counted, path: str
) -> None:
    answer = client.get(f"/static/{path}")
    assert compressions.calls == 0
    if path == "packed.js":
        assert answer.text == SCRIPT
    else:
        assert answer.body == (folder / path).read_bytes()


def test_ranges_heads_and_errors_pass_through(client: Client, compressions: Counted) -> None:
    part = client.get("/static/app.js", range="bytes=6-12")
    assert (part.status, part.text) == (206, SCRIPT[6:13])
    head = client.ask("HEAD", "/static/app.js")
    assert int(head.headers["content-length"]) == len(SCRIPT)
    assert client.get("/static/nothing.js").status == 404
    assert client.ask("POST", "/static/app.js").status == 405
    assert compressions.calls == 0


def test_websockets_and_answers_that_are_not_files_pass_through(
    client: Client, compressions: Counted
) -> None:
    with connect(f"ws://127.0.0.1:{client.port}/static/socket") as asked:
        asked.send("hello")
        assert asked.recv(timeout=10) == "hello"
    assert client.get("/data").text == SCRIPT
    assert compressions.calls == 0


def test_small_answers_and_messages_leave_at_once(client: Client) -> None:
    assert client.get("/undelayed/").text == "1"
    with connect(f"ws://127.0.0.1:{client.port}/undelayed/") as asked:
        assert asked.recv(timeout=10) == "1"


def test_the_files_that_are_cached_are_bounded() -> None:
    cached = server._SentFiles(limit=100)
    files = [server._File(f"/{number}.js", "gzip", "etag") for number in range(10)]
    for file in files:
        cached.put(file, server._Found(Headers(), bytes(30)))
        cached.get(files[0])
    cached.put(files[0], server._Found(Headers(), bytes(30)))
    assert [file for file in files if cached.get(file)] == [files[0], files[8], files[9]]


def test_the_player_is_served_without_its_python(client: Client) -> None:
    player = Path(server.__file__).parents[1] / "player"
    for path in player.iterdir():
        answer = client.get(f"{server.PLAYER}/{path.name}")
        assert answer.status == (200 if path.suffix in (".js", ".css") else 404), path.name
        if answer.status == 200:
            assert answer.text == path.read_text()
            assert answer.headers["cache-control"] == "no-cache"
    for other in ("", ".", "../__init__.py", "%2e%2e/__init__.py", "plotly.js/../../link.py"):
        assert client.get(f"{server.PLAYER}/{other}").status == 404, other


def test_the_copy_button_is_served_and_nothing_else_beside_it(client: Client) -> None:
    folder = Path(server.__file__).parent
    for path in folder.iterdir():
        answer = client.get(f"{server.COPY_BUTTON}/{path.name}")
        wanted = path.name in ("copy_button.js", "copy_button.css")
        assert answer.status == (200 if wanted else 404), path.name


def test_a_page_names_its_scripts_and_nothing_else_does(client: Client) -> None:
    for path in ("/", "/a_page"):
        hints = client.get(path).headers["link"]
        assert f"<{PLOTLY}>; rel=modulepreload" in hints
    for path in ("/static/app.js", PLOTLY, "/data", "/gone"):
        assert "link" not in client.get(path).headers


@pytest.mark.parametrize("written", ["class", "/class/"])
def test_a_base_path_goes_in_front_of_everything(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setattr(config, "get_option", {"server.baseUrlPath": written}.__getitem__)
    client: Client = request.getfixturevalue("client")
    assert server.url(PLOTLY) == f"/class{PLOTLY}"
    assert f"</class{PLOTLY}>" in client.get("/class/").headers["link"]
    answer = client.get(server.url(PLOTLY))
    assert answer.text == (Path(server.__file__).parents[1] / "player" / "plotly.js").read_text()


def test_streamlit_run_finds_the_app_in_the_text_of_a_script(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        "import streamlit as st\n"
        "from convt_trace import server\n"
        "app = st.App(__file__, routes=server.routes(), middleware=server.middleware())\n"
    )
    assert discover_asgi_app(script).import_string == "app:app"


def test_what_is_imported_is_out_of_the_collectors_sight() -> None:
    program = (
        "import asyncio, gc, sys\n"
        "from convt_trace.app import server\n"
        "async def serve():\n"
        "    async with server.lifespan(None):\n"
        "        return gc.get_freeze_count(), len(gc.get_objects())\n"
        "frozen, left = asyncio.run(serve())\n"
        "assert left < 1000 < 100_000 < frozen and {'pandas', 'pyarrow', 'torch'} <= set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_the_server_says_that_it_is_well(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status, answer.text) == (200, '{"status":"ok"}')
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/app.js", "/page.html", PLOTLY, "/healthz", "/nothing"])
def test_no_other_site_may_frame_what_is_sent(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"] == "frame-ancestors 'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_the_operator_names_the_sites_that_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVT_EMBED", " https://course.example  https://wiki.example ")
    guard = server.Guarded(PlainTextResponse("x"), server.embedders())
    assert guard._headers["Content-Security-Policy"] == (
        "frame-ancestors 'self' https://course.example https://wiki.example"
    )
    monkeypatch.setenv("CONVT_EMBED", "https://course.example; script-src *")
    with pytest.raises(ValueError, match="CONVT_EMBED"):
        server.embedders()
