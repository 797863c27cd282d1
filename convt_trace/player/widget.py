"""The player as a live widget of a notebook: JupyterLab, Notebook, VS Code, Colab, marimo.

The JavaScript is the app's own. `anywidget` carries it, and keeps the traits of both sides equal.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import anywidget
import ipywidgets  # type: ignore[import-untyped]
import traitlets

from convt_trace.engine.calls import Recording
from convt_trace.engine.case import Case
from convt_trace.engine.orders import ORDERS, units_of
from convt_trace.engine.trace import Trace
from convt_trace.engine.view import Cell, Moment, View, chosen, picked_trace, view_of
from convt_trace.player.linked import with_views
from convt_trace.player.modules import FOLDER, sources
from convt_trace.player.page import NOTEBOOK, notebook, seen
from convt_trace.player.windows import kept, window
from convt_trace.views import names

_FIRST_MODULE = "widget.js"
#: Each module gets an address of its own, which the others import; a notebook loads them once.
_LOADER = r"""
const sources = %(sources)s;
const addresses = {};
const address = (name) => {
  const link = (_, word, other) => `${word}"${address(other)}"`;
  const source = () => sources[name].replace(/(\bfrom\s+|\bimport\s+)"\.\/([\w-]+\.js)"/g, link);
  return (addresses[name] ??= URL.createObjectURL(
    // A page with require.js has a global `define`, which parts of plotly.js would take for theirs.
    new Blob(["const define = undefined;\n", source()], { type: "text/javascript" }),
  ));
};
const place = Symbol.for("convt-trace %(mark)s");
const player = (globalThis[place] ??= import(address("%(first)s")));
export default { render: async (context) => (await player).render(context) };
"""
#: The theme of the notebook: that of Jupyter, of VS Code, or light and dark as the page says.
_STYLE = """
.ct-widget {
  --paper: #ffffff; --ink: #1a1c21; --soft: #f0f2f6; --accent: #5b5bd6;
  --st-background-color: var(--jp-layout-color0, var(--vscode-editor-background, var(--paper)));
  --st-text-color: var(--jp-ui-font-color1, var(--vscode-editor-foreground, var(--ink)));
  --st-secondary-background-color:
    var(--jp-layout-color2, var(--vscode-editorWidget-background, var(--soft)));
  --st-primary-color: var(--accent);
  color: var(--st-text-color); background: var(--st-background-color); padding: 0.5rem;
}
html[theme="dark"] .ct-widget, .dark .ct-widget, [data-jp-theme-light="false"] .ct-widget,
.vscode-dark .ct-widget { --paper: #14161a; --ink: #f4f4f5; --soft: #262730; --accent: #8f89f5; }
.ct-widget .ct-player:focus { outline: none; }
"""


def _module() -> str:
    """Return the player as one module."""
    text = json.dumps(sources(_FIRST_MODULE))
    mark = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return _LOADER % {"sources": text, "mark": mark, "first": _FIRST_MODULE}


def _style() -> str:
    return (FOLDER / "player.css").read_text() + _STYLE


class PlayerWidget(anywidget.AnyWidget):
    """A case or a trace, played in a notebook.

    Attributes
    ----------
    step : int
        MACs done. Setting it moves the player; ``observe`` hears each step, a few times a second
        while it plays.
    order : str
        "scatter" or "gather".
    unit : str
        What one step spans.
    cell : tuple or None
        The selected output cell, (n, c, *position); of another tensor its name stands in front:
        ``("weight", 0, 1, 2)``.

    Raises
    ------
    TraitError
        For a trait that the case does not have.

    Examples
    --------
    >>> case = Case.of([[[2.0, 1.0, 1.0, 3.0]]], [[[1.0, 1.0, 5.0]]], padding=2)
    >>> widget = PlayerWidget(case, step=3)
    >>> widget.observe(lambda change: print(change.old, "->", change.new), "step")
    >>> widget.step = 5
    3 -> 5
    >>> widget.cell = (0, 0, 1)
    >>> widget.close()
    """

    _esm = _module()
    _css = _style()

    step = traitlets.Int(0).tag(sync=True)
    order = traitlets.Enum(list(ORDERS), "scatter").tag(sync=True)
    unit = traitlets.Unicode("MAC").tag(sync=True)
    cell = traitlets.Any(None, allow_none=True)
    _cell = traitlets.Unicode("").tag(sync=True)
    _orders = traitlets.List(list(ORDERS)).tag(sync=True)
    _held: Any = traitlets.List().tag(sync=True)

    def __init__(self, shown: Case | Trace, view: View | None = None, **traits: Any):
        self._case, view = seen(shown, view)
        self._view = chosen(self._case, view)
        self._open_views: tuple[str, ...] = ()
        self._total = len(picked_trace(self._case, self._view))
        super().__init__(order=self._view.order)
        for name, value in traits.items():
            setattr(self, name, value)
        self._hold()
        self.on_msg(self._asked)

    def _hold(self) -> None:
        """Send the windows that the notebook keeps."""
        windows = kept(self._case, self._view, self.step, self._total, NOTEBOOK)
        self._held = [{"start": one.start, "stop": one.stop, "data": one.packed} for one in windows]

    # -- the traits -------------------------------------------------------------------------------

    @traitlets.validate("step")
    def _inside(self, proposal: Any) -> int:
        return min(max(proposal.value, 0), self._total)

    @traitlets.validate("unit")
    def _one_of_the_order(self, proposal: Any) -> str:
        units = units_of(self.order, self._case.dims)
        if proposal.value not in units:
            raise traitlets.TraitError(
                f"unit is one of {', '.join(units)}, not {proposal.value!r}."
            )
        return str(proposal.value)

    @traitlets.validate("cell")
    def _of_a_tensor(self, proposal: Any) -> tuple[Any, ...] | None:
        if proposal.value is None:
            return None
        cell = _read(proposal.value)
        if cell is None or not self._has(cell):
            raise traitlets.TraitError(
                f"cell is an output cell such as {(0,) * (self._case.dims + 2)}, or that of another "
                f"tensor, with its name in front; {proposal.value!r} is none of this case."
            )
        return _plain(cell)

    def _has(self, cell: Cell) -> bool:
        geometry = self._case.geometry
        shapes = {"input": geometry.input_shape, "weight": self._case.weight.shape}
        shape = shapes.get(cell.tensor, geometry.output_shape)
        if cell.tensor in ("output", "torch"):  # a cropped cell can be selected too
            return len(cell.place) == len(shape)
        return len(cell.place) == len(shape) and all(
            0 <= at < size for at, size in zip(cell.place, shape)
        )

    @traitlets.observe("order")
    def _reorder(self, change: Any) -> None:
        if self._held:
            self._look(View(self.order, *_picks(self._view)))

    @traitlets.observe("cell")
    def _select(self, change: Any) -> None:
        cell = None if change.new is None else _read(change.new)
        self._cell = str(cell or "")
        if cell and cell.tensor == "output" and self._held:
            self._look(chosen(self._case, view_of(self._case, self.order, cell.place)), near=True)

    @traitlets.observe("_cell")
    def _hear(self, change: Any) -> None:
        cell = Cell.read(change.new)
        self.cell = None if cell is None else _plain(cell)

    def _look(self, view: View, near: bool = False) -> None:
        """Show another part of the trace; ``near``, only where the cell is not on screen yet."""
        if (
            near
            and set(view.out_local or ()) <= set(self._view.out_local or ())
            and (set(view.groups or ()) <= set(self._view.groups or ()))
        ):
            return
        self._view = chosen(self._case, view)
        self._total = len(picked_trace(self._case, self._view))
        self._hold()

    # -- what the player asks for -------------------------------------------------------------------

    def _asked(self, _: Any, content: Any, __: Any) -> None:
        if content.get("ask") == "hello":
            self.send({"kind": "hello"})
            return
        if content.get("ask") == "views":
            self._open_views = tuple(
                name for name in names(self._case) if name in content.get("open", ())
            )
        number = int(content.get("mac", 0))
        message = window(self._case, self._view, number).message
        message = with_views(message, self._case, self._view, self._open_views)
        self.send({"kind": "scene"}, [message])

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """Return the widget, and beside it the page that plays where there is no kernel."""
        shown = super()._repr_mimebundle_(**options)
        if shown is None:
            return None
        data, *more = shown if isinstance(shown, tuple) else (shown,)
        moment = Moment(step=self.step, unit=self.unit, selected=Cell.read(self._cell))
        page = notebook(self._case, self._view, moment)
        return ({**data, "text/html": page}, *more) if more else {**data, "text/html": page}


def widget(shown: Case | Trace, view: View | None = None, **traits: Any) -> PlayerWidget:
    """Return a case or a trace as a live widget.

    Parameters
    ----------
    shown : Case or Trace
    view : View, optional
        Order, batch item and channels to look at; by default those of the trace.
    **traits
        ``step``, ``order``, ``unit``, ``cell``.
    """
    return PlayerWidget(shown, view, **traits)


def recording_widget(calls: Recording) -> ipywidgets.Widget:
    """Return a model's calls, each with a player that is made when it is opened."""
    cases = [(number, call) for number, call in enumerate(calls, 1) if isinstance(call, Case)]
    places = [ipywidgets.VBox() for _ in cases]
    titles = [f"{number}. {case.line()}" for number, case in cases]
    folded = ipywidgets.Accordion(places, titles=titles)

    def open_one(change: Any) -> None:
        at = change["new"]
        if at is not None and not places[at].children:
            places[at].children = (PlayerWidget(cases[at][1]),)

    folded.observe(open_one, "selected_index")
    return folded


def _picks(view: View) -> tuple[Any, ...]:
    return view.n, view.groups, view.in_local, view.out_local


def _read(cell: Any) -> Cell | None:
    """Return a cell as people write it: a tuple of numbers, or of a tensor's name and numbers."""
    if isinstance(cell, str):
        return Cell.read(cell)
    try:
        tensor, place = (cell[0], cell[1:]) if isinstance(cell[0], str) else ("output", cell)
        return Cell.read(str(Cell(tensor, tuple(map(int, place)))))
    except (TypeError, ValueError, IndexError):
        return None


def _plain(cell: Cell) -> tuple[Any, ...]:
    return cell.place if cell.tensor == "output" else (cell.tensor, *cell.place)
