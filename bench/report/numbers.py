"""Numbers as people read them, the same in the terminal, in Markdown and on the page."""

from __future__ import annotations

import math

MISSING = "-"
#: Beside a ratio of calls that varied much, as something else ran meanwhile.
BUSY = "busy"


def milliseconds(value: float) -> str:
    """Return three significant digits, and never fewer than the digits before the point.

    Example:
        >>> [milliseconds(value) for value in (0.0456, 1.234, 12.34, 123.4, 1234.5)]
        ['0.046', '1.23', '12.3', '123', '1234']
    """
    decimals = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{decimals}f}"


def rate(value: float) -> str:
    """Return images a second: whole, unless there are fewer than ten.

    Example:
        >>> [rate(value) for value in (3.14159, 283.3, 12345.6)]
        ['3.14', '283', '12346']
    """
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"


def percent(share: float) -> str:
    """Return a share in [0, 1] as a percentage with two decimals and no sign, as re-ID papers do.

    Example:
        >>> percent(0.45789)
        '45.79'
    """
    return f"{share * 100:.2f}"


def points(change: float) -> str:
    """Return a change of a share in percentage points, with its sign.

    Example:
        >>> [points(change) for change in (0.0012, -0.0104, 0.0)]
        ['+0.12', '-1.04', '±0.00']
    """
    text = f"{change * 100:+.2f}"
    return "±0.00" if text in ("+0.00", "-0.00") else text


def interval(ends: tuple[float, float]) -> str:
    """Return the ends of an interval of such changes, in percentage points.

    Example:
        >>> interval((-0.0162, 0.00481)), interval((0.0, 0.0))
        ('-1.62 to +0.48', '0.00 to 0.00')
    """
    return " to ".join(points(end).replace("±", "") for end in ends)


def times(ratio: float) -> str:
    """Return a ratio such as 1.84x."""
    return f"{ratio:.2f}x"


def megabytes(size: int) -> str:
    """Return a size in MB of 1,000,000 bytes.

    Example:
        >>> megabytes(8_957_705)
        '8.96'
    """
    return milliseconds(size / 1e6)


def gibibytes(size: int | None) -> str:
    """Return a size of memory in GiB of 2**30 bytes."""
    return "not available" if size is None else f"{size / 2**30:.1f} GiB"


def operations(rate: float) -> str:
    """Return a rate of operations, or of bytes, a second with the prefix that keeps it short.

    Example:
        >>> [operations(rate) for rate in (181.2e9, 1.5e12, 92e6)]
        ['181 G', '1.50 T', '92.0 M']
    """
    power = min(max(int(math.log10(rate) // 3) if rate > 0 else 0, 0), 4)
    return f"{milliseconds(rate / 1000**power)} {('', 'k', 'M', 'G', 'T')[power]}".strip()


def joules(value: float) -> str:
    """Return energy in millijoules."""
    return f"{milliseconds(value * 1e3)} mJ"


def signed_percent(share: float) -> str:
    """Return a relative change.

    Example:
        >>> signed_percent(0.0123), signed_percent(-0.2)
        ('+1.2 %', '-20.0 %')
    """
    return f"{share * 100:+.1f} %"


def between(ends: tuple[float, float]) -> str:
    """Return the ends of an interval of times.

    Example:
        >>> between((1.234, 1.31))
        '1.23 to 1.31'
    """
    return " to ".join(milliseconds(end) for end in ends)


def printable(text: str) -> str:
    """Return `text` with control characters shown as "?", so that a name cannot steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
