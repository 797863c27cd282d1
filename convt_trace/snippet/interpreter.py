"""The walker: evaluates a syntax tree node by node, on an allow-list of node kinds.

Nothing is compiled or executed. What a name means is decided by the tables
(`convt_trace.snippet.names`), what an attribute means by `convt_trace.snippet.attributes`.
"""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from convt_trace.snippet import values
from convt_trace.snippet.clean import refuse_node
from convt_trace.snippet.errors import Refused
from convt_trace.snippet.limits import Budget
from convt_trace.snippet.values import Args, Kwargs, Scope

if TYPE_CHECKING:
    from convt_trace.snippet.recording import Recorder

#: Calls that change nothing here.
_QUIET = ("sys.stdout.flush", "sys.path.append", "sys.path.insert")
BREAK, CONTINUE = "break", "continue"
_RETURN = "return"
#: What a statement hands to the block around it: None, or why the block ends.
Signal = Any

_UNARY: dict[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_OWN_UNARY: dict[type, tuple[str, str]] = {
    ast.USub: ("__neg__", "-"),
    ast.UAdd: ("__pos__", "+"),
    ast.Invert: ("__invert__", "~"),
}
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

#: Node kinds that are refused: as what, and what to write instead. Whatever is neither here nor in
#: the walker's tables is refused as well; a test asks that every kind of the running Python is judged.
REFUSED: dict[str, tuple[str, str]] = {
    "AsyncFor": ("async for", "Use a plain for."),
    "AsyncFunctionDef": ("async def", "Use a plain def."),
    "AsyncWith": ("async with", "Use a plain with."),
    "Await": ("await", "Call the function directly."),
    "Match": ("the match statement", "Use if and elif."),
    "Yield": (
        "yield inside an expression, a with or a try",
        "Write it as a statement of its own, in plain loops and ifs; or build a list and return it.",
    ),
    "YieldFrom": (
        "yield from inside an expression, a with or a try",
        "Write it as a statement of its own, in plain loops and ifs; or build a list and return it.",
    ),
    "TryStar": ("except*", "Use a plain try."),
    "TypeAlias": ("a type alias", "Leave the type alias out."),
    "TemplateStr": ("a template string", "Use an f-string."),
    "Interpolation": ("a template string", "Use an f-string."),
}


class Reader:
    """One reading: the scopes, the budget, and what was recorded.

    Parameters
    ----------
    lines : list of str
        The pasted text, for the source line of a call.
    budget : Budget
    recorder : Recorder
    """

    def __init__(self, lines: list[str], budget: Budget, recorder: Recorder):
        from convt_trace.snippet.pyrandom import Generators

        self.lines: list[str] = lines
        self.budget: Budget = budget
        self.recorder: Recorder = recorder
        self.top = Scope({"__name__": "__main__"})
        self.stack: list[int] = [0]
        self.failed: tuple[BaseException, tuple[int, ...]] | None = None
        self.classes: list[values.UserClass] = []
        self.reserved = set(values.RESERVED)
        self.assumed: set[str] = set()
        self.print_threshold = [1000, 1000]
        self.random = Generators()
        self._frames: list[tuple[values.UserFunction, Any]] = []
        self._handling: list[BaseException] = []
        self.has_fallback = False  # inside a try that says what to do without a package
        self._top_expressions: set[int] = set()
        self._yield_marks: dict[ast.stmt, bool] = {}

    # -- running ----------------------------------------------------------------------------------

    def run(self, tree: ast.Module) -> None:
        """Read a whole text."""
        for statement in tree.body:
            if isinstance(statement, ast.Expr):
                self._top_expressions.add(id(statement))
        try:
            self.block(tree.body, self.top)
        except BaseException as error:
            self._mark(error)
            raise

    @property
    def where(self) -> tuple[int, ...]:
        """The lines being read, outermost first."""
        return tuple(line for line in self.stack if line)

    def _mark(self, error: BaseException) -> None:
        if self.failed is None or self.failed[0] is not error:
            self.failed = (error, self.where)

    def note(self, text: str, line: int | None = None) -> None:
        """Keep a note about the line being read."""
        self.recorder.note(self.stack[-1] if line is None else line, text)

    def block(self, statements: list[ast.stmt], scope: Scope) -> Signal:
        """Read statements in order until one of them ends the block."""
        for statement in statements:
            self.stack[-1] = statement.lineno
            signal = self.statement(statement, scope)
            if signal is not None:
                return signal
        return None

    def statement(self, node: ast.stmt, scope: Scope) -> Signal:
        """Read one statement."""
        self.budget.step()
        handler = STATEMENTS.get(type(node))
        if handler is None:
            raise refuse_node(node, *REFUSED.get(type(node).__name__, ()))
        return handler(self, node, scope)

    def value(self, node: ast.expr, scope: Scope) -> Any:
        """Evaluate one expression."""
        self.budget.step()
        handler = EXPRESSIONS.get(type(node))
        if handler is None:
            raise refuse_node(node, *REFUSED.get(type(node).__name__, ()))
        return handler(self, node, scope)

    # -- statements -------------------------------------------------------------------------------

    def _expr(self, node: ast.Expr, scope: Scope) -> Signal:
        if isinstance(node.value, ast.Constant):
            return None  # a docstring, or an ellipsis as a body
        at_top = id(node) in self._top_expressions
        if at_top and self._is_pasted_output(node.value, scope):
            self.note("read as pasted output, not as code")
            return None
        value = self.value(node.value, scope)
        if at_top and value is not None and not isinstance(value, values.Missing):
            from convt_trace.snippet.formatting import has_address, to_repr

            text = to_repr(self, value)
            if isinstance(value, str) or not has_address(text):
                self.recorder.show(node.lineno, text)
        return None

    def _is_pasted_output(self, node: ast.expr, scope: Scope) -> bool:
        """Whether a line is a tensor's printed form: ``tensor(...)`` with no such name around."""
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("tensor", "array", "Parameter", "device", "Size")
            and scope.find(node.func.id) is None
        )

    def _assign(self, node: ast.Assign, scope: Scope) -> Signal:
        value = self.value(node.value, scope)
        for target in node.targets:
            self.bind(target, value, scope)
        return None

    def _ann_assign(self, node: ast.AnnAssign, scope: Scope) -> Signal:
        if scope.of_class and isinstance(node.target, ast.Name):
            scope.names.setdefault("__fields__", []).append(node.target.id)
        if node.value is not None:
            self.bind(node.target, self.value(node.value, scope), scope)
        return None

    def _aug_assign(self, node: ast.AugAssign, scope: Scope) -> Signal:
        from convt_trace.snippet.operators import in_place

        load = self._as_load(node.target, scope)
        result = in_place(self, type(node.op), load[0](), self.value(node.value, scope))
        load[1](result)
        return None

    def _as_load(
        self, target: ast.expr, scope: Scope
    ) -> tuple[Callable[[], Any], Callable[[Any], None]]:
        """Return how to read and write the target of ``+=``; its parts are evaluated once."""
        from convt_trace.snippet import attributes

        if isinstance(target, ast.Name):
            name = target.id
            return lambda: self.name(name, scope), lambda value: self.store(name, value, scope)
        if isinstance(target, ast.Attribute):
            owner, attr = self.value(target.value, scope), target.attr
            return (
                lambda: attributes.get(self, owner, attr),
                lambda value: attributes.put(self, owner, attr, value),
            )
        if isinstance(target, ast.Subscript):
            owner, place = self.value(target.value, scope), self.value(target.slice, scope)
            return (
                lambda: attributes.get_item(self, owner, place),
                lambda value: attributes.put_item(self, owner, place, value),
            )
        raise refuse_node(target)

    def _delete(self, node: ast.Delete, scope: Scope) -> Signal:
        from convt_trace.snippet import attributes

        for target in node.targets:
            if isinstance(target, ast.Name):
                found = scope.find(target.id)
                if found is None:
                    raise NameError(f"name '{target.id}' is not defined")
                del found.names[target.id]
            elif isinstance(target, ast.Subscript):
                owner = self.value(target.value, scope)
                attributes.delete_item(self, owner, self.value(target.slice, scope))
            elif isinstance(target, ast.Attribute):
                attributes.delete(self, self.value(target.value, scope), target.attr)
            else:
                raise refuse_node(target)
        return None

    def _if(self, node: ast.If, scope: Scope) -> Signal:
        branch = node.body if self.truth(self.value(node.test, scope)) else node.orelse
        return self.block(branch, scope)

    def _for(self, node: ast.For, scope: Scope) -> Signal:
        for item in self.iterate(self.value(node.iter, scope)):
            self.stack[-1] = node.lineno
            self.bind(node.target, item, scope)
            signal = self.block(node.body, scope)
            if signal == BREAK:
                return None
            if signal is not None and signal != CONTINUE:
                return signal
        return self.block(node.orelse, scope)

    def _while(self, node: ast.While, scope: Scope) -> Signal:
        while True:
            self.stack[-1] = node.lineno
            if not self.truth(self.value(node.test, scope)):
                return self.block(node.orelse, scope)
            signal = self.block(node.body, scope)
            if signal == BREAK:
                return None
            if signal is not None and signal != CONTINUE:
                return signal

    def _return(self, node: ast.Return, scope: Scope) -> Signal:
        return (_RETURN, self.value(node.value, scope) if node.value is not None else None)

    def _function(self, node: ast.FunctionDef, scope: Scope) -> Signal:
        made: Any = self._made_function(node, node.name, node.body, scope)
        for decorator in reversed(node.decorator_list):
            made = self._decorated(made, self.value(decorator, scope))
        self.store(node.name, made, scope)
        return None

    def _made_function(
        self,
        node: ast.FunctionDef | ast.Lambda,
        name: str,
        body: list[ast.stmt] | ast.expr,
        scope: Scope,
    ) -> values.UserFunction:
        arguments = node.args
        for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            self._may_bind(one.arg)
        return values.UserFunction(
            name=name,
            arguments=arguments,
            body=body,
            scope=scope,
            defaults=[self.value(default, scope) for default in arguments.defaults],
            keyword_defaults={
                one.arg: self.value(default, scope)
                for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults)
                if default is not None
            },
            line=node.lineno,
            yields=isinstance(body, list) and yields_in(body),
        )

    def _decorated(self, made: Any, decorator: Any) -> Any:
        if isinstance(decorator, values.Context) and isinstance(made, values.UserFunction):
            made.wrappers = (decorator, *made.wrappers)
            return made
        if isinstance(decorator, values.Missing):
            if not decorator.harmless:
                raise Refused(f"the decorator {decorator.path}", "Leave the decorator out.")
            self.note(f"{decorator.path} is passed over")
            return made
        return self.call(decorator, (made,), {})

    def _class(self, node: ast.ClassDef, scope: Scope) -> Signal:
        from convt_trace.snippet.classes import make_class

        made: Any = make_class(self, node, scope)
        for decorator in reversed(node.decorator_list):
            made = self._decorated(made, self.value(decorator, scope))
        self.store(node.name, made, scope)
        return None

    def _with(self, node: ast.With, scope: Scope) -> Signal:
        return self._with_items(node.items, node.body, scope)

    def _with_items(self, items: list[ast.withitem], body: list[ast.stmt], scope: Scope) -> Signal:
        if not items:
            return self.block(body, scope)
        manager = self.value(items[0].context_expr, scope)
        if isinstance(manager, values.Missing) and manager.harmless:
            self.note(f"{manager.path} is passed over")
            manager = values.Context(manager.path, lambda: None, lambda held: None)
        if isinstance(manager, values.Instance) and self.special(manager, "__enter__"):
            return self._with_own(manager, items, body, scope)
        if not isinstance(manager, values.Context):
            raise Refused(
                f"with {self.type_name(manager)} is not read",
                "torch.no_grad() and its like are read; leave other blocks out.",
            )
        held = manager.enter()
        try:
            if items[0].optional_vars is not None:
                self.bind(items[0].optional_vars, manager, scope)
            return self._with_items(items[1:], body, scope)
        finally:
            manager.leave(held)

    def _with_own(
        self,
        manager: values.Instance,
        items: list[ast.withitem],
        body: list[ast.stmt],
        scope: Scope,
    ) -> Signal:
        """Do a with whose manager is an object of the text's own."""
        leave = self.special(manager, "__exit__")
        if leave is None:
            kind = manager.cls.name
            raise TypeError(f"'{kind}' object does not support the context manager protocol")
        entered, depth = self.call(self.special(manager, "__enter__"), (), {}), len(self.stack)
        try:
            if items[0].optional_vars is not None:
                self.bind(items[0].optional_vars, entered, scope)
            signal = self._with_items(items[1:], body, scope)
        except Exception as error:
            if self._uncatchable(error):
                raise
            from convt_trace.snippet.names import type_of

            self._mark(error)
            del self.stack[depth:]
            if self.truth(self.call(leave, (type_of(self, error), error, None), {})):
                return None
            raise
        self.call(leave, (None, None, None), {})
        return signal

    def _try(self, node: ast.Try, scope: Scope) -> Signal:
        try:
            signal = self._tried(node, scope)
        except Refused:
            raise
        except BaseException as error:
            self._mark(error)
            if not self._uncatchable(error):
                signal = self.block(node.finalbody, scope)
                if signal is not None:
                    return signal
            raise
        ending = self.block(node.finalbody, scope)
        return signal if ending is None else ending

    def _tried(self, node: ast.Try, scope: Scope) -> Signal:
        depth = len(self.stack)
        outer, self.has_fallback = self.has_fallback, any(map(_is_fallback, node.handlers))
        try:
            signal = self.block(node.body, scope)
        except Exception as error:
            self.has_fallback = outer
            if self._uncatchable(error):
                raise
            self._mark(error)
            del self.stack[depth:]
            for handler in node.handlers:
                if self._handles(handler, error, scope):
                    return self._handled(handler, error, scope)
            raise
        finally:
            self.has_fallback = outer
        return signal if signal is not None else self.block(node.orelse, scope)

    @staticmethod
    def _uncatchable(error: BaseException) -> bool:
        return isinstance(error, (Refused, MemoryError, RecursionError)) or not isinstance(
            error, Exception
        )

    def _handles(self, handler: ast.ExceptHandler, error: Exception, scope: Scope) -> bool:
        if handler.type is None:
            return True
        wanted = self.value(handler.type, scope)
        for one in wanted if isinstance(wanted, tuple) else (wanted,):
            if isinstance(one, values.Type) and issubclass(values.error_class(error), one.types):
                return True
            if (
                isinstance(one, values.UserClass)
                and isinstance(error, values.TextError)
                and error.cls.is_a(one)
            ):
                return True
        return False

    def _handled(self, handler: ast.ExceptHandler, error: Exception, scope: Scope) -> Signal:
        if handler.name:
            self.store(handler.name, error, scope)
        self._handling.append(error)
        try:
            return self.block(handler.body, scope)
        finally:
            self._handling.pop()
            if handler.name:
                scope.names.pop(handler.name, None)

    def _raise(self, node: ast.Raise, scope: Scope) -> Signal:
        if node.exc is None:
            if self._handling:
                raise self._handling[-1]
            raise RuntimeError("No active exception to reraise")
        error = self.value(node.exc, scope)
        if isinstance(error, (values.Type, values.UserClass)):
            error = self.call(error, (), {})
        if not isinstance(error, Exception) or isinstance(error, Refused):
            raise TypeError("exceptions must derive from BaseException")
        raise error

    def _assert(self, node: ast.Assert, scope: Scope) -> Signal:
        if not self.truth(self.value(node.test, scope)):
            from convt_trace.snippet.formatting import to_str

            if node.msg is None:
                raise AssertionError
            raise AssertionError(to_str(self, self.value(node.msg, scope)))
        return None

    def _global(self, node: ast.Global, scope: Scope) -> Signal:
        for name in node.names:
            scope.outside[name] = self.top
        return None

    def _nonlocal(self, node: ast.Nonlocal, scope: Scope) -> Signal:
        for name in node.names:
            found = scope.parent.find(name) if scope.parent else None
            if found is None or found is self.top:
                raise SyntaxError(f"no binding for nonlocal '{name}' found")
            scope.outside[name] = found
        return None

    def _import(self, node: ast.Import, scope: Scope) -> Signal:
        from convt_trace.snippet.names import import_module

        for alias in node.names:
            import_module(self, alias.name, alias.asname, scope)
        return None

    def _import_from(self, node: ast.ImportFrom, scope: Scope) -> Signal:
        from convt_trace.snippet.names import import_name

        for alias in node.names:
            import_name(
                self, "." * node.level + (node.module or ""), alias.name, alias.asname, scope
            )
        return None

    # -- names ------------------------------------------------------------------------------------

    def name(self, name: str, scope: Scope) -> Any:
        """Return what a name stands for."""
        found = scope.find(name)
        if found is not None:
            return found.names[name]
        from convt_trace.snippet.names import builtin

        return builtin(self, name)

    def _may_bind(self, name: str) -> None:
        if name in self.reserved:
            raise Refused(
                f"binding the name {name}",
                f"{name} stands for a library here: choose another name.",
            )
        if name.startswith("__") and name.endswith("__") and name not in ("__all__", "__name__"):
            raise Refused(f"binding the name {name[:60]}", "Choose another name.")

    def store(self, name: str, value: Any, scope: Scope) -> None:
        """Bind a name."""
        if not scope.of_class:
            self._may_bind(name)
        target = scope.outside.get(name, scope)
        target.names[name] = value

    def bind(self, target: ast.expr, value: Any, scope: Scope) -> None:
        """Bind whatever stands on the left of ``=``."""
        from convt_trace.snippet import attributes

        if isinstance(target, ast.Name):
            self.store(target.id, value, scope)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target.elts, value, scope)
        elif isinstance(target, ast.Attribute):
            attributes.put(self, self.value(target.value, scope), target.attr, value)
        elif isinstance(target, ast.Subscript):
            owner = self.value(target.value, scope)
            attributes.put_item(self, owner, self.value(target.slice, scope), value)
        else:
            raise refuse_node(target)

    def _unpack(self, targets: list[ast.expr], value: Any, scope: Scope) -> None:
        if isinstance(value, values.Missing):
            for target in targets:
                self.bind(target, value.child("item"), scope)
            return
        stars = [place for place, one in enumerate(targets) if isinstance(one, ast.Starred)]
        # One more than fits is enough to know: a generator may have no end.
        most = None if stars else len(targets) + 1
        items = list(itertools.islice(self.iterate(value), most))
        if not stars:
            if len(items) > len(targets):
                raise ValueError(f"too many values to unpack (expected {len(targets)})")
            if len(items) < len(targets):
                raise ValueError(
                    f"not enough values to unpack (expected {len(targets)}, got {len(items)})"
                )
            for target, item in zip(targets, items):
                self.bind(target, item, scope)
            return
        before, after = stars[0], len(targets) - stars[0] - 1
        if len(items) < before + after:
            raise ValueError(
                f"not enough values to unpack (expected at least {before + after}, "
                f"got {len(items)})"
            )
        middle = items[before : len(items) - after]
        for target, item in zip(targets[:before], items):
            self.bind(target, item, scope)
        starred = targets[before]
        assert isinstance(starred, ast.Starred)
        self.bind(starred.value, middle, scope)
        for target, item in zip(targets[before + 1 :], items[len(items) - after :]):
            self.bind(target, item, scope)

    # -- expressions ------------------------------------------------------------------------------

    def _constant(self, node: ast.Constant, scope: Scope) -> Any:
        if isinstance(node.value, int):
            self.budget.whole(node.value.bit_length())
        return node.value

    def _name(self, node: ast.Name, scope: Scope) -> Any:
        return self.name(node.id, scope)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        from convt_trace.snippet import attributes

        return attributes.get(self, self.value(node.value, scope), node.attr)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        from convt_trace.snippet import attributes

        return attributes.get_item(
            self, self.value(node.value, scope), self.value(node.slice, scope)
        )

    def _slice(self, node: ast.Slice, scope: Scope) -> slice:
        parts = (node.lower, node.upper, node.step)
        return slice(*(None if part is None else self.value(part, scope) for part in parts))

    def _elements(self, nodes: list[ast.expr], scope: Scope) -> list[Any]:
        # No generator: in one, a StopIteration of the text's own next() would become another error.
        found: list[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                found.extend(self.collected(self.iterate(self.value(node.value, scope))))
            else:
                found.append(self.value(node, scope))
        self.budget.made(len(found))
        return found

    def _list(self, node: ast.List, scope: Scope) -> list[Any]:
        return self._elements(node.elts, scope)

    def _tuple(self, node: ast.Tuple, scope: Scope) -> tuple[Any, ...]:
        return tuple(self._elements(node.elts, scope))

    def _set(self, node: ast.Set, scope: Scope) -> set[Any]:
        return {self.hashable(one) for one in self._elements(node.elts, scope)}

    def collected(self, items: Iterator[Any]) -> list[Any]:
        """Return items as a list, counted while it grows."""
        found: list[Any] = []
        for item in items:
            found.append(item)
            if not len(found) & 1023:
                self.budget.made(0 if len(found) <= self.budget.limits.items else len(found))
        self.budget.made(len(found))
        return found

    def _dict(self, node: ast.Dict, scope: Scope) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values):
            if key is None:
                more = self.value(value, scope)
                if not isinstance(more, dict):
                    raise TypeError(f"'{self.type_name(more)}' object is not a mapping")
                result.update(more)
            else:
                result[self.hashable(self.value(key, scope))] = self.value(value, scope)
        self.budget.made(len(result))
        return result

    def hashable(self, value: Any) -> Any:
        """Return a value that may be a key; the reader's own objects hash by identity."""
        if isinstance(value, (list, dict, set, np.ndarray)):
            raise TypeError(f"unhashable type: '{self.type_name(value)}'")
        if isinstance(value, (tuple, frozenset)):
            from convt_trace.snippet.bounds import comparable_size

            comparable_size(self, value)
        return value

    def _bin_op(self, node: ast.BinOp, scope: Scope) -> Any:
        from convt_trace.snippet.operators import binary

        left = self.value(node.left, scope)
        return binary(self, type(node.op), left, self.value(node.right, scope))

    def _unary_op(self, node: ast.UnaryOp, scope: Scope) -> Any:
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            return not self.truth(value)
        from convt_trace.snippet.operators import number_like

        method, sign = _OWN_UNARY[type(node.op)]
        found = self.special(value, method)
        if found is not None:
            return self.call(found, (), {})
        number_like(self, value, f"bad operand type for unary {sign}: '{self.type_name(value)}'")
        return _UNARY[type(node.op)](value)

    def _bool_op(self, node: ast.BoolOp, scope: Scope) -> Any:
        value: Any = None
        stop = isinstance(node.op, ast.Or)
        for part in node.values:
            value = self.value(part, scope)
            if self.truth(value) is stop:
                return value
        return value

    def _compare(self, node: ast.Compare, scope: Scope) -> Any:
        left = self.value(node.left, scope)
        result: Any = True
        for place, (op, right_node) in enumerate(zip(node.ops, node.comparators)):
            right = self.value(right_node, scope)
            result = self._compared(op, left, right)
            if place < len(node.ops) - 1 and not self.truth(result):
                return result
            left = right
        return result

    def _compared(self, op: ast.cmpop, left: Any, right: Any) -> Any:
        from convt_trace.snippet.operators import comparable, contains

        if isinstance(op, (ast.Is, ast.IsNot)):
            same = left is right or (
                isinstance(left, values.Namespace)
                and isinstance(right, values.Namespace)
                and left.path == right.path
            )
            return same if isinstance(op, ast.Is) else not same
        if isinstance(op, (ast.In, ast.NotIn)):
            found = contains(self, right, left)
            return found if isinstance(op, ast.In) else not found
        return comparable(self, _COMPARE[type(op)], left, right)

    def _if_exp(self, node: ast.IfExp, scope: Scope) -> Any:
        branch = node.body if self.truth(self.value(node.test, scope)) else node.orelse
        return self.value(branch, scope)

    def _named_expr(self, node: ast.NamedExpr, scope: Scope) -> Any:
        value = self.value(node.value, scope)
        while scope.parent is not None and scope.names.get("__comprehension__") is True:
            scope = scope.parent
        self.store(node.target.id, value, scope)
        return value

    def _lambda(self, node: ast.Lambda, scope: Scope) -> Any:
        return self._made_function(node, "<lambda>", node.body, scope)

    def _joined(self, node: ast.JoinedStr, scope: Scope) -> str:
        from convt_trace.snippet.formatting import converted, format_value

        parts = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
                continue
            assert isinstance(part, ast.FormattedValue)
            value = self.value(part.value, scope)
            if part.conversion != -1:
                value = converted(self, value, chr(part.conversion))
            spec = self._joined(part.format_spec, scope) if part.format_spec else ""  # type: ignore[arg-type]
            parts.append(format_value(self, value, spec))
        text = "".join(parts)
        self.budget.made(len(text) // 8)
        return text

    def _comprehension(self, generators: list[ast.comprehension], scope: Scope) -> Iterator[Scope]:
        """Return the walk through the loops of a comprehension; its names live in the scope it yields.

        What the first loop goes through is evaluated at once, as Python does.
        """
        inner = Scope({"__comprehension__": True}, parent=scope)

        def walk(rest: list[ast.comprehension], items: Any) -> Iterator[Scope]:
            first, *others = rest
            if first.is_async:
                raise Refused("an async comprehension is not read", "Use a plain one.")
            for item in self.iterate(items):
                self.budget.step()
                self.bind(first.target, item, inner)
                if all(self.truth(self.value(test, inner)) for test in first.ifs):
                    if others:
                        yield from walk(others, self.value(others[0].iter, inner))
                    else:
                        yield inner

        return walk(generators, self.value(generators[0].iter, scope))

    def _list_comp(self, node: ast.ListComp | ast.SetComp, scope: Scope) -> Any:
        found: list[Any] = []
        for inner in self._comprehension(node.generators, scope):
            found.append(self.value(node.elt, inner))
            if len(found) > self.budget.limits.items:
                self.budget.made(len(found))
        self.budget.made(len(found))
        return set(map(self.hashable, found)) if isinstance(node, ast.SetComp) else found

    def _generator_exp(self, node: ast.GeneratorExp, scope: Scope) -> Iterator[Any]:
        """Return a generator of the host's own: each element is evaluated when it is asked for."""
        walk = self._comprehension(node.generators, scope)
        return (self.value(node.elt, inner) for inner in walk)

    def _dict_comp(self, node: ast.DictComp, scope: Scope) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for inner in self._comprehension(node.generators, scope):
            found[self.hashable(self.value(node.key, inner))] = self.value(node.value, inner)
        self.budget.made(len(found))
        return found

    def _call(self, node: ast.Call, scope: Scope) -> Any:
        self.recorder.begun.add((node.lineno, node.col_offset))
        function = self.value(node.func, scope)
        if isinstance(function, values.Function) and function.name == "super" and not node.args:
            return self._super()
        args = tuple(self._elements(node.args, scope))
        kwargs: Kwargs = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            more = {keyword.arg: value} if keyword.arg is not None else value
            if not isinstance(more, dict) or not all(isinstance(key, str) for key in more):
                raise TypeError("argument after ** must be a mapping with string keys")
            for key, one in more.items():
                if key in kwargs:
                    raise TypeError(f"got multiple values for keyword argument '{key}'")
                kwargs[key] = one
        self.stack[-1] = _call_line(node)
        made = self.call(function, args, kwargs)
        if isinstance(made, torch.nn.Module) and isinstance(
            function, (values.Type, values.UserClass)
        ):
            self.recorder.constructed(made, node.lineno, node.col_offset)
        return made

    def _super(self) -> Any:
        if not self._frames or self._frames[-1][0].owner is None:
            raise RuntimeError("super(): no arguments")
        function, owner = self._frames[-1]
        assert function.owner is not None
        return values.Super(function.owner, owner)

    # -- calling ----------------------------------------------------------------------------------

    def call(self, function: Any, args: Args, kwargs: Kwargs) -> Any:
        """Call whatever a text can call."""
        self.budget.step()
        if isinstance(function, (values.Function, values.Method)):
            if isinstance(function, values.Method):
                args = (function.owner, *args)
            return function.action(self, args, kwargs)
        if isinstance(function, values.UserFunction):
            return self._wrapped(function, args, kwargs)
        if isinstance(function, values.Bound):
            return self._wrapped(function.function, (function.owner, *args), kwargs)
        if isinstance(function, torch.nn.Module):
            from convt_trace.snippet.layers import call_module

            return call_module(self, function, args, kwargs)
        if isinstance(function, values.UserClass):
            from convt_trace.snippet.classes import instantiate

            return instantiate(self, function, args, kwargs)
        if isinstance(function, values.Instance):
            found = self.special(function, "__call__")
            if found is not None:
                return self.call(found, args, kwargs)
        if isinstance(function, values.Partial):
            return self.call(
                function.function, (*function.args, *args), {**function.kwargs, **kwargs}
            )
        if isinstance(function, values.Missing):
            return self._pass_over(function, args)
        if isinstance(function, values.Context) and len(args) == 1:
            return self._decorated(args[0], function)
        raise TypeError(f"'{self.type_name(function)}' object is not callable")

    def _pass_over(self, function: values.Missing, args: Args) -> Any:
        if function.path == "sys.stdout.write" and args and isinstance(args[0], str):
            self.recorder.write(args[0])
            return len(args[0])
        if function.path in _QUIET:
            return None
        if not function.harmless:
            raise Refused(
                f"{function.path} is not read",
                "Files, data sets, the network and other packages are out of reach here: write the "
                "numbers into the text (torch.tensor, torch.randn).",
            )
        self.note(f"{function.path} is passed over")
        if function.path.rsplit(".", 1)[-1] in ("tqdm", "trange") and args:
            return range(args[0]) if isinstance(args[0], int) else args[0]
        return function.child("result")

    def _wrapped(self, function: values.UserFunction, args: Args, kwargs: Kwargs) -> Any:
        held = [(wrapper, wrapper.enter()) for wrapper in function.wrappers]
        try:
            return self._call_text(function, args, kwargs)
        finally:
            for wrapper, value in reversed(held):
                wrapper.leave(value)

    def _call_text(self, function: values.UserFunction, args: Args, kwargs: Kwargs) -> Any:
        """Call a function of the text."""
        scope = Scope(parent=function.scope)
        bind_arguments(self, function, args, kwargs, scope.names)
        owner = args[0] if args else None
        if function.yields:
            return self._generator(function, owner, scope)
        with self._frame(function, owner, function.line):
            if isinstance(function.body, ast.expr):
                self.stack[-1] = function.body.lineno
                return self.value(function.body, scope)
            signal = self.block(function.body, scope)
            return signal[1] if isinstance(signal, tuple) else None

    @contextmanager
    def _frame(self, function: values.UserFunction, owner: Any, line: int) -> Iterator[None]:
        """Read inside a function of the text, at a line of it."""
        if len(self._frames) >= self.budget.limits.call_depth:
            raise Refused(
                f"more than {self.budget.limits.call_depth} calls inside one another",
                "Use a loop instead of recursion.",
            )
        self._frames.append((function, owner))
        self.stack.append(line)
        depth = len(self.stack)
        try:
            yield
        except BaseException as error:
            self._mark(error)
            raise
        finally:
            del self.stack[depth - 1 :]
            self._frames.pop()

    # -- generators -------------------------------------------------------------------------------

    def _generator(
        self, function: values.UserFunction, owner: Any, scope: Scope
    ) -> Generator[Any, None, Any]:
        """Return a generator of the host's own that reads a function from yield to yield."""
        assert isinstance(function.body, list)
        walk, line = self._yielding(function.body, scope), function.line
        while True:
            held = [(wrapper, wrapper.enter()) for wrapper in function.wrappers]
            try:
                with self._frame(function, owner, line):
                    try:
                        item = next(walk)
                    except StopIteration as end:
                        return end.value[1] if isinstance(end.value, tuple) else None
                    finally:
                        line = self.stack[-1]
            finally:
                for wrapper, value in reversed(held):
                    wrapper.leave(value)
            yield item

    def _yielding(self, statements: list[ast.stmt], scope: Scope) -> Generator[Any, None, Signal]:
        """Do what `block` does, and yield what its statements yield."""
        for statement in statements:
            self.stack[-1] = statement.lineno
            signal: Signal = None
            if not self._yields(statement):
                signal = self.statement(statement, scope)
            elif type(statement) in YIELDING:
                self.budget.step()
                signal = yield from YIELDING[type(statement)](self, statement, scope)
            else:
                raise refuse_node(statement, *REFUSED["Yield"])
            if signal is not None:
                return signal
        return None

    def _yields(self, statement: ast.stmt) -> bool:
        if statement not in self._yield_marks:
            self._yield_marks[statement] = yields_in([statement])
        return self._yield_marks[statement]

    def _yield_value(self, node: ast.expr, scope: Scope) -> Generator[Any, None, Any]:
        if isinstance(node, ast.Yield):
            yield None if node.value is None else self.value(node.value, scope)
            return None  # what send() would give: a text cannot call it
        if isinstance(node, ast.YieldFrom):
            yield from self.iterate(self.value(node.value, scope))
            return None
        return self.value(node, scope)

    def _yield_expr(self, node: ast.Expr, scope: Scope) -> Generator[Any, None, Signal]:
        yield from self._yield_value(node.value, scope)
        return None

    def _yield_if(self, node: ast.If, scope: Scope) -> Generator[Any, None, Signal]:
        branch = node.body if self.truth(self.value(node.test, scope)) else node.orelse
        return (yield from self._yielding(branch, scope))

    def _yield_for(self, node: ast.For, scope: Scope) -> Generator[Any, None, Signal]:
        for item in self.iterate(self.value(node.iter, scope)):
            self.stack[-1] = node.lineno
            self.bind(node.target, item, scope)
            signal = yield from self._yielding(node.body, scope)
            if signal == BREAK:
                return None
            if signal is not None and signal != CONTINUE:
                return signal
        return (yield from self._yielding(node.orelse, scope))

    def _yield_while(self, node: ast.While, scope: Scope) -> Generator[Any, None, Signal]:
        while True:
            self.stack[-1] = node.lineno
            if not self.truth(self.value(node.test, scope)):
                return (yield from self._yielding(node.orelse, scope))
            signal = yield from self._yielding(node.body, scope)
            if signal == BREAK:
                return None
            if signal is not None and signal != CONTINUE:
                return signal

    # -- helpers for the tables -------------------------------------------------------------------

    def special(self, value: Any, name: str) -> Any:
        """Return a method such as ``__len__`` that the text defines for an object, or None."""
        cls = (
            getattr(value, "user_class", None)
            if isinstance(value, torch.nn.Module)
            else (value.cls if isinstance(value, (values.Instance, values.TextError)) else None)
        )
        found = cls.find(name) if cls is not None else None
        if found is None or not isinstance(found[0], values.UserFunction):
            return None
        return values.Bound(found[0], value)

    def truth(self, value: Any) -> bool:
        """Return whether a value counts as true."""
        if isinstance(value, values.Missing):
            raise Refused(
                f"a decision that needs {value.path}", "Write the value into the text instead."
            )
        if isinstance(value, values.Instance):
            for name in ("__bool__", "__len__"):
                found = self.special(value, name)
                if found is not None:
                    return bool(self.call(found, (), {}))
            return True
        if isinstance(value, values.Own):
            return True
        if isinstance(value, torch.nn.Module):
            return not isinstance(value, _CONTAINERS) or len(value) > 0
        return bool(value)

    def iterate(self, value: Any) -> Iterator[Any]:
        """Yield what a ``for`` over a value yields, a step each."""
        for item in self._iterated(value):
            self.budget.step()
            yield item

    def _iterated(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if value.dim() == 0:
                raise TypeError("iteration over a 0-d tensor")
            self.budget.made(value.shape[0])
            return iter(value.unbind(0))
        if isinstance(value, torch.nn.Module):
            if isinstance(value, torch.nn.ModuleDict):
                return iter(list(value.keys()))
            if isinstance(value, _CONTAINERS):
                return iter(list(value))
        if isinstance(value, values.Missing):
            raise Refused(
                f"a loop over {value.path}", "Data sets are out of reach: make a small tensor."
            )
        if isinstance(value, values.Instance):
            return self._iterated_instance(value)
        if isinstance(value, dict):
            return iter(list(value))
        if isinstance(value, (values.Own, torch.nn.Module)) or not hasattr(value, "__iter__"):
            raise TypeError(f"'{self.type_name(value)}' object is not iterable")
        return iter(value)

    def _iterated_instance(self, value: values.Instance) -> Any:
        found = self.special(value, "__iter__")
        if found is not None:
            items = self.call(found, (), {})
            if isinstance(items, values.Instance) and self.special(items, "__next__"):
                return self._stepped(items)
            return self._iterated(items)
        length, item = self.special(value, "__len__"), self.special(value, "__getitem__")
        if length is None or item is None:
            raise TypeError(f"'{value.cls.name}' object is not iterable")
        return (self.call(item, (place,), {}) for place in range(self.call(length, (), {})))

    def _stepped(self, value: values.Instance) -> Iterator[Any]:
        """Yield what the text's own ``__next__`` returns until it raises StopIteration."""
        while True:
            try:
                item = self.call(self.special(value, "__next__"), (), {})
            except StopIteration:
                return
            yield item

    def type_name(self, value: Any) -> str:
        """Return the name of a value's type as error messages write it."""
        if isinstance(value, values.Instance):
            return value.cls.name
        if isinstance(value, torch.nn.Module):
            cls = getattr(value, "user_class", None)
            return cls.name if cls is not None else type(value).__name__
        if isinstance(value, (values.UserFunction, values.Bound)):
            return "function"
        if isinstance(value, (values.Type, values.UserClass)):
            return "type"
        if isinstance(value, values.Own):
            return type(value).__name__.lower()
        return type(value).__name__


_CONTAINERS = (
    torch.nn.Sequential,
    torch.nn.ModuleList,
    torch.nn.ModuleDict,
    torch.nn.ParameterList,
)


def _call_line(node: ast.Call) -> int:
    """Return the line Python gives a call: a method's name, where a chain goes over lines."""
    function = node.func
    if isinstance(function, ast.Attribute) and function.lineno != function.end_lineno:
        return function.end_lineno or node.lineno
    return node.lineno


def bind_arguments(
    reader: Reader,
    function: values.UserFunction,
    args: Args,
    kwargs: Kwargs,
    names: dict[str, Any],
) -> None:
    """Bind a call's arguments to the parameters of a function of the text, as Python does."""
    spec, kwargs = function.arguments, dict(kwargs)
    positional = [one.arg for one in [*spec.posonlyargs, *spec.args]]
    called = f"{function.owner.name}.{function.name}" if function.owner else function.name
    names.update(zip(positional, args))
    extra = args[len(positional) :]
    if spec.vararg is not None:
        names[spec.vararg.arg] = tuple(extra)
    elif extra:
        fewest = len(positional) - len(function.defaults)
        takes = f"from {fewest} to {len(positional)}" if function.defaults else str(len(positional))
        plural = "s" if len(positional) != 1 or function.defaults else ""
        were = "was" if len(args) == 1 else "were"
        raise TypeError(
            f"{called}() takes {takes} positional argument{plural} but {len(args)} {were} given"
        )
    by_name = {one.arg for one in [*spec.args, *spec.kwonlyargs]}
    rest: dict[str, Any] = {}
    for name, value in kwargs.items():
        if name in by_name:
            if name in names:
                raise TypeError(f"{called}() got multiple values for argument '{name}'")
            names[name] = value
        else:
            rest[name] = value
    if spec.kwarg is not None:
        names[spec.kwarg.arg] = rest
    elif rest:
        raise TypeError(f"{called}() got an unexpected keyword argument '{next(iter(rest))}'")
    first_default = len(positional) - len(function.defaults)
    for place, default in enumerate(function.defaults):
        names.setdefault(positional[first_default + place], default)
    for name, default in function.keyword_defaults.items():
        names.setdefault(name, default)
    _refuse_missing(called, positional, [one.arg for one in spec.kwonlyargs], names)


def _refuse_missing(
    called: str, positional: list[str], keywords: list[str], names: dict[str, Any]
) -> None:
    for kind, wanted in (("positional", positional), ("keyword-only", keywords)):
        missing = [f"'{name}'" for name in wanted if name not in names]
        if missing:
            listed = (
                missing[0]
                if len(missing) == 1
                else (
                    f"{', '.join(missing[:-1])}{',' if len(missing) > 2 else ''} and {missing[-1]}"
                )
            )
            plural = "s" if len(missing) > 1 else ""
            raise TypeError(
                f"{called}() missing {len(missing)} required {kind} argument{plural}: {listed}"
            )


def _is_fallback(handler: ast.ExceptHandler) -> bool:
    """Whether it catches a failed import and puts something in its place."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    caught = {one.id for one in kinds if isinstance(one, ast.Name)}
    binds = (ast.Assign, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return bool(caught & {"ImportError", "ModuleNotFoundError", "Exception"}) and any(
        isinstance(one, binds) for one in handler.body
    )


def yields_in(statements: list[ast.stmt]) -> bool:
    """Whether there is a yield among statements, those of functions defined in them left out.

    >>> yields_in(ast.parse("for n in x: yield n").body)
    True
    >>> yields_in(ast.parse("def f(): yield 1").body)
    False
    """
    todo: list[ast.AST] = list(statements)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo.extend(ast.iter_child_nodes(node))
    return False


#: Statements that may hold a yield.
YIELDING: dict[type[ast.AST], Callable[[Reader, Any, Scope], Generator[Any, None, Signal]]] = {
    ast.Expr: Reader._yield_expr,
    ast.If: Reader._yield_if,
    ast.For: Reader._yield_for,
    ast.While: Reader._yield_while,
}

STATEMENTS: dict[type[ast.AST], Callable[[Reader, Any, Scope], Signal]] = {
    ast.Expr: Reader._expr,
    ast.Assign: Reader._assign,
    ast.AnnAssign: Reader._ann_assign,
    ast.AugAssign: Reader._aug_assign,
    ast.Delete: Reader._delete,
    ast.If: Reader._if,
    ast.For: Reader._for,
    ast.While: Reader._while,
    ast.Return: Reader._return,
    ast.FunctionDef: Reader._function,
    ast.ClassDef: Reader._class,
    ast.With: Reader._with,
    ast.Try: Reader._try,
    ast.Raise: Reader._raise,
    ast.Assert: Reader._assert,
    ast.Global: Reader._global,
    ast.Nonlocal: Reader._nonlocal,
    ast.Import: Reader._import,
    ast.ImportFrom: Reader._import_from,
    ast.Pass: lambda reader, node, scope: None,
    ast.Break: lambda reader, node, scope: BREAK,
    ast.Continue: lambda reader, node, scope: CONTINUE,
}

EXPRESSIONS: dict[type[ast.AST], Callable[[Reader, Any, Scope], Any]] = {
    ast.Constant: Reader._constant,
    ast.Name: Reader._name,
    ast.Attribute: Reader._attribute,
    ast.Subscript: Reader._subscript,
    ast.Slice: Reader._slice,
    ast.List: Reader._list,
    ast.Tuple: Reader._tuple,
    ast.Set: Reader._set,
    ast.Dict: Reader._dict,
    ast.BinOp: Reader._bin_op,
    ast.UnaryOp: Reader._unary_op,
    ast.BoolOp: Reader._bool_op,
    ast.Compare: Reader._compare,
    ast.IfExp: Reader._if_exp,
    ast.NamedExpr: Reader._named_expr,
    ast.Lambda: Reader._lambda,
    ast.JoinedStr: Reader._joined,
    ast.ListComp: Reader._list_comp,
    ast.SetComp: Reader._list_comp,
    ast.GeneratorExp: Reader._generator_exp,
    ast.DictComp: Reader._dict_comp,
    ast.Call: Reader._call,
}
