"""Other people's text inside our Markdown: it is shown as it is, never read as Markdown."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~<>$:&@/])")


def plain(text: str) -> str:
    r"""Return Markdown that shows a text as it is: no images, links, maths or emoji in it.

    >>> print(plain("![x](http://here) $a$"))
    \!\[x\]\(http\:\/\/here\) \$a\$
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Return a text as inline code, whatever backticks it holds.

    >>> code("a `b` c")
    '``a `b` c``'
    """
    line = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    edge = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{edge}{line}{edge}{fence}"
