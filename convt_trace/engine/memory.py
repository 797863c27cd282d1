"""What a process that runs for long may hold: results within a number of bytes, and no freed memory."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Cache(Generic[Key, Value]):
    """Results by key; who asks for one that is being worked out waits for it.

    `functools.lru_cache` counts results, not bytes, and works one out as often as it is asked for
    before the first is done: a class that opens the same link at the same moment would have the
    work done forty times, with the memory of forty.

    Parameters
    ----------
    limit : int
        Bytes to cache, in all. The result that was not asked for longest goes first; the newest
        stays, however large.
    size : callable
        Tells a result's bytes.
    most : int
        Results to cache at most, for what their bytes do not tell.

    Examples
    --------
    >>> squares: Cache[int, bytes] = Cache(limit=10, size=len)
    >>> [squares.get(n, lambda: bytes(n)) == bytes(n) for n in (4, 5, 4, 3)]
    [True, True, True, True]
    >>> [n for n in (3, 4, 5) if squares.has(n)]
    [3, 4]
    """

    def __init__(self, limit: int, size: Callable[[Value], int], most: int = 256) -> None:
        self._limit, self._size, self._most = limit, size, most
        self._cached: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, work_out: Callable[[], Value]) -> Value:
        """Return the result of a key, which ``work_out`` gives where there is none.

        What ``work_out`` raises is raised to all who wait for it, and not cached. It must not ask
        for its own key.
        """
        with self._lock:
            future = self._cached.get(key)
            mine = future is None
            if future is None:
                future = self._cached[key] = Future()
            self._cached.move_to_end(key)
        if mine:
            try:
                future.set_result(work_out())
            except BaseException as error:
                with self._lock:
                    self._cached.pop(key, None)
                future.set_exception(error)
                raise
            self._make_room()
        return future.result()

    def has(self, key: Key) -> bool:
        """Tell whether a result is at hand."""
        future = self._cached.get(key)
        return future is not None and future.done()

    def forget(self, which: Callable[[Key, Value], bool] = lambda key, value: True) -> None:
        """Drop the results that ``which`` tells, all of them by default."""
        with self._lock:
            for key, future in list(self._cached.items()):
                if future.done() and which(key, future.result()):
                    del self._cached[key]

    def _make_room(self) -> None:
        with self._lock:
            sizes = {
                key: self._size(one.result()) for key, one in self._cached.items() if one.done()
            }
            room = self._limit - sum(sizes.values())
            for key, size in list(sizes.items())[:-1]:
                if room >= 0 and len(self._cached) <= self._most:
                    break
                del self._cached[key]
                room += size


#: glibc's names for what `mallopt` sets.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8


def give_back_freed_memory(arenas: int | None = None) -> None:
    """Have freed tensors return to the system at once; does nothing where the C library is not glibc.

    After the first free of a large array glibc takes the next ones of up to 32 MB from its own store,
    and each of its arenas (eight per core, one per busy thread) holds on to what was freed there.

    Parameters
    ----------
    arenas : int, optional
        How many arenas there may be from now on.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        if arenas is not None:
            libc.mallopt(_M_ARENA_MAX, arenas)
