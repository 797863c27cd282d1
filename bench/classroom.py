"""A class on the app that `make app` starts: how long everybody waits, and what the server holds.

Forty students open the page within eight seconds, then each moves a slider, then they use all of the
app for some minutes, then they leave. They are visitors without a browser (`scripts/visitor.py`),
because forty browsers would be what is measured; what they take of the CPU themselves is printed.

python bench/classroom.py [--minutes 1.5] [--classes 2] [--students 40] [--within 8]
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from urllib.parse import urlsplit

from convt_trace.app.gallery import EXAMPLES
from convt_trace.app.lessons import LESSON
from convt_trace.links.link import to_link
from convt_trace.links.settings import PRESETS
from live_app import App, chromium, running
from visitor import Visitor

#: p95 in seconds of the first page and of a slider, and MB of memory.
FIRST_PAGE, SLIDER, MEMORY = 0.5, 0.2, 600
#: Seconds between two things that a student does, at most and at least.
THINKING = (2.0, 8.0)

SNIPPET = """import torch
from torch import nn

torch.manual_seed({seed})
layer = nn.ConvTranspose2d({channels}, 8, {kernel}, stride=2)
print(layer(torch.randn(1, {channels}, {size}, {size})).shape)
"""

Act = Callable[[Visitor, random.Random], Awaitable[None]]


def row(what: str, value: str, limit: str = "") -> None:
    """Print one line of the table."""
    print(f"  {what:<54}{value:>26}   {limit}", flush=True)


def waits(what: str, seconds: list[float], limit: str = "") -> None:
    """Print how long people waited: median, p95 and the longest."""
    ordered = sorted(seconds)
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    row(what, f"{median(ordered):.2f} / {late:.2f} / {ordered[-1]:.2f} s", limit)


def per_head(seconds: float, count: int) -> str:
    """Return the seconds of a whole class as milliseconds for each student."""
    return f"{1000 * seconds / count:.0f} ms"


def memory(what: str, app: App, limit: str = "") -> None:
    """Print what the server holds, and the reader of snippets beside it."""
    server, reader = app.memory()
    row(f"memory {what}: server + reader", f"{server:.0f} + {reader:.0f} MB", limit)


@asynccontextmanager
async def highest(app: App) -> AsyncIterator[list[float]]:
    """Note what the server holds, four times a second; the last number is the highest."""
    seen = [0.0]

    async def look() -> None:
        while True:
            seen.append(max(seen[-1], app.memory()[0]))
            await asyncio.sleep(0.25)

    looking = asyncio.create_task(look())
    yield seen
    looking.cancel()


# -- the class ---------------------------------------------------------------------------------------


def files_of_a_visit(app: App) -> list[str]:
    """Return the paths that a browser asks for at its first visit."""
    asked: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(app.url)
        page.wait_for_selector("[data-panel=torch] .js-plotly-plot")
        page.wait_for_load_state("networkidle")
    paths = [urlsplit(url).path for url in asked if url.startswith(app.url)]
    return [path for path in paths if "/_stcore/" not in path]


async def arrive(
    student: Visitor, files: list[str], at: float, whole: list[float], run: list[float]
) -> None:
    """Open the page as a browser does: the document, then its files beside the page's first run."""
    await asyncio.sleep(at)
    start = time.perf_counter()
    await student.fetch(files[:1])

    async def first_run() -> None:
        await student.open()
        run.append(time.perf_counter() - start)

    await asyncio.gather(student.fetch(files[1:]), first_run())
    whole.append(time.perf_counter() - start)


async def timed(act: Awaitable[None], took: list[float]) -> None:
    """Do something and note how long it took."""
    start = time.perf_counter()
    await act
    took.append(time.perf_counter() - start)


# -- what students do --------------------------------------------------------------------------------


async def move(student: Visitor, chance: random.Random) -> None:
    """Move one of the playground's sliders."""
    label, value = chance.choice(
        [("stride", 1), ("stride", 3), ("kernel_size", 2), ("kernel_size", 4), ("dilation", 2)]
    )
    await playground(student)
    await student.slide(label, value)


async def preset(student: Visitor, chance: random.Random) -> None:
    """Start from one of the presets, the layers at full size among them."""
    await playground(student)
    await student.choose("Start from", chance.choice([one.title for one in PRESETS.values()]))


async def windows(student: Visitor, chance: random.Random) -> None:
    """Step to another window of a large layer."""
    await playground(student)
    await student.choose("Start from", PRESETS["dcgan"].title)
    for _ in range(3):
        await student.tell("player", "window", chance.randrange(10**8))


async def gather(student: Visitor, chance: random.Random) -> None:
    """Look at the other order, and at the trace as a table."""
    await playground(student)
    await student.pick(chance.choice(["gather", "scatter"]))
    await student.turn_tab(chance.choice(["Trace table", "PyTorch code", "Output size"]))


async def example(student: Visitor, chance: random.Random) -> None:
    """Have an example explained."""
    await student.turn_to("Explain", f"example={chance.choice([*EXAMPLES])}")


async def snippet(student: Visitor, chance: random.Random) -> None:
    """Have a text of one's own explained."""
    await student.turn_to("Explain")
    text = SNIPPET.format(
        seed=chance.randrange(1000),
        channels=chance.choice([4, 64, 128]),
        kernel=chance.choice([2, 3, 4]),
        size=chance.choice([4, 8, 16]),
    )
    await student.tell("editor", "run", {"text": text})


async def lesson(student: Visitor, chance: random.Random) -> None:
    """Do a step of the lesson."""
    await student.turn_to("Lesson", f"lesson={chance.randint(1, len(LESSON))}")


async def link(student: Visitor, chance: random.Random) -> None:
    """Open a link that somebody shared."""
    shared = chance.choice([*PRESETS.values()]).settings
    await student.turn_to("", to_link(shared, step=chance.randrange(10)))


async def playground(student: Visitor) -> None:
    """Turn to the playground, unless it is open."""
    try:
        student.find("slider", "stride")
    except LookupError:
        await student.turn_to("")


#: How often each is done.
ACTS: dict[Act, int] = {
    move: 10, preset: 3, windows: 1, gather: 3, example: 2, snippet: 2, lesson: 2, link: 1
}  # fmt: skip


async def use(student: Visitor, until: float, seed: int, took: dict[str, list[float]]) -> None:
    """Do one thing after the other until the lesson is over."""
    chance = random.Random(seed)
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(*THINKING))
        (act,) = chance.choices([*ACTS], [*ACTS.values()])
        await timed(act(student, chance), took.setdefault(act.__name__, []))


# -- the measurements --------------------------------------------------------------------------------


async def a_class(app: App, files: list[str], count: int, within: float, minutes: float) -> None:
    """Measure one class from its coming to its going."""
    print(f"{count} students within {within:g} s, {len(files)} files each: median / p95 / longest")
    starts = [within * at / count for at in range(count)]
    async with AsyncExitStack() as room:
        students = [await room.enter_async_context(Visitor(app.url)) for _ in range(count)]
        await coming(app, students, files, starts)
        await sliding(app, students, starts)
        if minutes:
            await lively(app, students, minutes)
    await asyncio.sleep(2)
    memory("when all have gone", app)


async def coming(app: App, students: list[Visitor], files: list[str], starts: list[float]) -> None:
    """Let students open the page, one after the other."""
    whole: list[float] = []
    run: list[float] = []
    server, ours = app.cpu_seconds(), time.process_time()
    await asyncio.gather(
        *(arrive(one, files, start, whole, run) for one, start in zip(students, starts))
    )
    waits("first page", run, f"limit {FIRST_PAGE} s at p95")
    waits("first page and all its files", whole)
    row("CPU of the server for a first visit", per_head(app.cpu_seconds() - server, len(students)))
    row("CPU of the visitor beside it", per_head(time.process_time() - ours, len(students)))
    memory("when all are there", app, f"limit {MEMORY} MB for the server")


async def sliding(app: App, students: list[Visitor], starts: list[float]) -> None:
    """Let each student move a slider."""
    moved: list[float] = []

    async def move_one(student: Visitor, start: float) -> None:
        await asyncio.sleep(start)
        await timed(student.slide("stride", 2), moved)

    server = app.cpu_seconds()
    await asyncio.gather(*map(move_one, students, starts))
    waits("a slider", moved, f"limit {SLIDER} s at p95")
    row("CPU of the server for a slider", per_head(app.cpu_seconds() - server, len(students)))


async def lively(app: App, students: list[Visitor], minutes: float) -> None:
    """Let students use all of the app, and print what they waited and what the server held."""
    took: dict[str, list[float]] = {}
    until = time.monotonic() + 60 * minutes
    server, start = app.cpu_seconds(), time.monotonic()
    async with highest(app) as seen:
        await asyncio.gather(*(use(one, until, seed, took) for seed, one in enumerate(students)))
    print(f"{minutes:g} minutes of use")
    for name, seconds in sorted(took.items()):
        waits(f"{name}, {len(seconds)} times", seconds)
    used = (app.cpu_seconds() - server) / (time.monotonic() - start)
    row("CPU of the server, of one core", f"{100 * used:.0f} %")
    row("memory at most: server", f"{seen[-1]:.0f} MB", f"limit {MEMORY} MB")
    memory("after the use", app)


def main() -> None:
    """Print every measurement."""
    options = argparse.ArgumentParser(description="Measure a class on the app.")
    options.add_argument("--minutes", type=float, default=1.5, help="of use, in each class")
    options.add_argument("--students", type=int, default=40)
    options.add_argument("--within", type=float, default=8, help="seconds in which they come")
    options.add_argument("--classes", type=int, default=2)
    asked = options.parse_args()
    with running() as app:
        files = files_of_a_visit(app)
        memory("after one visit", app)
        for _ in range(asked.classes):
            asyncio.run(a_class(app, files, asked.students, asked.within, asked.minutes))


if __name__ == "__main__":
    main()
