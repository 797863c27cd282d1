"""A visitor without a browser: fetches what a browser fetches, and speaks Streamlit's protocol.

Forty browsers would be what a measurement on a small machine measures; a visitor takes next to
nothing of it. Each is one tab: it remembers what its widgets hold, as the browser does.

async with Visitor(app.url) as student:
    await student.open()
    await student.slide("stride", 2)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

#: What Chrome says that it takes, and how many connections it opens to one server.
_ACCEPTED = "gzip, deflate, br, zstd"
_CONNECTIONS = 6
#: Large messages that a tab has at hand, so that the server need not send them again.
_CACHED = 4
#: Longer than this nobody waits for a run.
_PATIENCE = 60.0


class Visitor:
    """One tab on the app.

    Parameters
    ----------
    url : str
        The app's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._host = urlsplit(url).netloc
        self._socket: ClientConnection | None = None
        self._pages: dict[str, str] = {}
        self._page, self._query = "", ""
        self._cached: dict[str, Any] = {}
        self._values: dict[str, WidgetState] = {}
        self._shown: dict[str, Any] = {}
        self._fragments: dict[str, str] = {}

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()

    # -- what a visitor does ----------------------------------------------------------------------

    async def fetch(self, paths: Iterable[str]) -> int:
        """Get files over as many connections as a browser opens; return their bytes on the wire."""
        waiting = list(paths)[::-1]
        return sum(await asyncio.gather(*(self._get(waiting) for _ in range(_CONNECTIONS))))

    async def open(self, page: str = "", query: str = "") -> None:
        """Open a page and wait until it has run."""
        self._socket = await connect(
            f"ws://{self._host}/_stcore/stream",
            origin=self._url,  # type: ignore[arg-type]
            subprotocols=["streamlit"],  # type: ignore[list-item]
            compression=None,
            max_size=None,
        )
        self._query = query
        await self._run(page_name=page)

    async def turn_to(self, page: str, query: str = "") -> None:
        """Follow a link to another page, by the name that its address has."""
        self._page, self._query = self._pages[page], query
        self._values.clear()
        await self._run()

    async def slide(self, label: str, value: float) -> None:
        """Move a slider."""
        slider = self.find("slider", label)
        self._value(slider.id).double_array_value.data[:] = [value]
        await self._run()

    async def choose(self, label: str, option: str) -> None:
        """Choose from a list."""
        self._value(self.find("selectbox", label).id).string_value = option
        await self._run()

    async def pick(self, option: str) -> None:
        """Press one of several buttons of which one is chosen."""
        group = self.find("button_group", where=lambda one: option in _options(one))
        self._value(group.id).string_array_value.data[:] = [option]
        await self._run()

    async def press(self, label: str) -> None:
        """Press a button."""
        await self._run(WidgetState(id=self.find("button", label).id, trigger_value=True))

    async def turn_tab(self, label: str) -> None:
        """Open a tab of the first row of tabs."""
        self._value(self.find("tab_container").id).string_value = label
        await self._run()

    async def tell(self, key: str, event: str, value: object) -> None:
        """Let one of our own components, the player or the editor, say something."""
        component = self.find("bidi_component", where=lambda one: one.id.endswith(f"-{key}"))
        said = json.dumps([{"event": event, "value": value}])
        state = WidgetState(id=f"{component.id}__events", json_trigger_value=said)
        await self._run(state, fragment=self._fragments[component.id])

    def options(self, label: str) -> list[str]:
        """Return what a list offers."""
        return list(self.find("selectbox", label).options)

    def find(
        self, kind: str, label: str = "", where: Callable[[Any], bool] = lambda _: True
    ) -> Any:
        """Return a widget that is on the page.

        Raises
        ------
        LookupError
            When there is none.
        """
        for name, one in self._shown.values():
            if name == kind and (not label or one.label == label) and where(one):
                return one
        there = ", ".join(sorted({name for name, _ in self._shown.values()}))
        raise LookupError(f"no {kind} {label!r} on the page, which has {there}")

    # -- files ------------------------------------------------------------------------------------

    async def _get(self, waiting: list[str]) -> int:
        """Get files, one after the other over one connection, until none is waiting."""
        host, _, port = self._host.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        total = 0
        while waiting:
            path = waiting.pop()
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n"
                f"Accept-Encoding: {_ACCEPTED}\r\n\r\n".encode()
            )
            total += await _answer(reader, path)
        writer.close()
        return total

    # -- runs of the page -------------------------------------------------------------------------

    def _value(self, id: str) -> WidgetState:
        return self._values.setdefault(id, WidgetState(id=id))

    async def _run(
        self, trigger: WidgetState | None = None, fragment: str = "", page_name: str = ""
    ) -> None:
        """Ask for a run of the page, or of one fragment of it, and wait for its end."""
        assert self._socket is not None, "open() comes first"
        message = BackMsg()
        run = message.rerun_script
        run.query_string, run.page_name, run.page_script_hash = self._query, page_name, self._page
        run.fragment_id = fragment
        self._cached = dict([*self._cached.items()][-_CACHED:])
        run.cached_message_hashes[:] = self._cached
        run.context_info.url = self._url + "/"
        run.widget_states.widgets.extend([*self._values.values(), *([trigger] if trigger else [])])
        await self._socket.send(message.SerializeToString())
        async with asyncio.timeout(_PATIENCE):
            await self._listen()

    async def _listen(self) -> None:
        """Take what the server sends, until a run is over that no other follows."""
        assert self._socket is not None
        drawn: dict[str, Any] = {}
        while True:
            message = ForwardMsg()
            message.ParseFromString(await self._socket.recv(decode=False))
            kind = message.WhichOneof("type")
            if kind == "navigation":
                self._pages = {
                    page.url_pathname: page.page_script_hash
                    for page in message.navigation.app_pages
                }
                self._page = message.navigation.page_script_hash
            elif kind == "page_info_changed":
                self._query = message.page_info_changed.query_string
            elif kind == "delta":
                self._draw(message.delta, drawn)
                if message.metadata.cacheable:
                    self._cached[message.hash] = message.delta
            elif kind == "ref_hash":
                self._draw(self._cached[message.ref_hash], drawn)
            elif kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    drawn.clear()
                    continue
                whole = message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
                break
        self._settle(drawn, whole)

    def _settle(self, drawn: dict[str, Any], whole: bool) -> None:
        """Forget the widgets that a whole run did not draw again."""
        self._shown = drawn if whole else {**self._shown, **drawn}
        self._values = {id: one for id, one in self._values.items() if id in self._shown}

    def _draw(self, delta: Any, drawn: dict[str, Any]) -> None:
        """Take one element; a widget that is new, or that the server sets, has the server's value."""
        part = delta.new_element if delta.WhichOneof("type") == "new_element" else delta.add_block
        kind = part.WhichOneof("type")
        if kind == "exception":
            raise RuntimeError(f"the page ended with {part.exception.type}")
        element = getattr(part, kind) if kind else None
        id = getattr(element, "id", "")
        if not id:
            return
        drawn[id] = (kind, element)
        self._fragments[id] = delta.fragment_id
        if kind in _STARTS and (id not in self._values or getattr(element, "set_value", False)):
            self._values[id] = _STARTS[kind](element)


async def _answer(reader: asyncio.StreamReader, path: str) -> int:
    """Read one answer to its end; return its bytes."""
    head = await reader.readuntil(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    if " 200 " not in status:
        raise OSError(f"{path}: {status}")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    length = int(headers["content-length"])
    await reader.readexactly(length)
    return len(head) + length


# -- what a widget holds at first, by its kind ------------------------------------------------------


def _options(group: Any) -> list[str]:
    return [option.content for option in group.options]


def _slider(one: Any) -> WidgetState:
    state = WidgetState(id=one.id)
    values = one.value if one.set_value else one.default
    if one.type == one.SELECT_SLIDER:  # the server sends places, the browser words
        words = one.raw_value if one.set_value else [one.options[int(at)] for at in values]
        state.string_array_value.data[:] = words
    else:
        state.double_array_value.data[:] = values
    return state


def _selectbox(one: Any) -> WidgetState:
    start = one.options[one.default] if one.options else ""
    return WidgetState(id=one.id, string_value=one.raw_value if one.set_value else start)


def _text_input(one: Any) -> WidgetState:
    return WidgetState(id=one.id, string_value=one.value if one.set_value else one.default)


def _checkbox(one: Any) -> WidgetState:
    return WidgetState(id=one.id, bool_value=one.value if one.set_value else one.default)


def _number_input(one: Any) -> WidgetState:
    value = one.value if one.set_value else one.default
    if one.data_type == one.INT:
        return WidgetState(id=one.id, int_value=int(value))
    return WidgetState(id=one.id, double_value=value)


def _button_group(one: Any) -> WidgetState:
    state = WidgetState(id=one.id)
    options = _options(one)
    state.string_array_value.data[:] = (
        one.raw_values if one.set_value else [options[at] for at in one.default]
    )
    return state


_STARTS: dict[str, Callable[[Any], WidgetState]] = {
    "slider": _slider,
    "selectbox": _selectbox,
    "text_input": _text_input,
    "checkbox": _checkbox,
    "number_input": _number_input,
    "button_group": _button_group,
}
