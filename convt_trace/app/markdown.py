"""Other people's text inside our Markdown and HTML: it is shown as it is, never read as either."""

from __future__ import annotations

import re
from html import escape

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


def printed(text: str, label: str, lines: int) -> str:
    """Return a text as HTML in a box that scrolls, and takes the focus so that keys scroll it.

    Parameters
    ----------
    text : str
    label : str
        What a screen reader calls it.
    lines : int
        How many are seen at once.

    Examples
    --------
    >>> box = printed("1 < 2", "What it prints", 9)
    >>> "1 &lt; 2</pre>" in box, 'aria-label="What it prints"' in box
    (True, True)
    """
    height = f"{1.5 * lines + 1.6:.3g}em"
    return (
        f'<pre class="printed" style="--highest: {height}" tabindex="0" role="region" '
        f'aria-label="{escape(label)}">{escape(text)}</pre>'
    )
