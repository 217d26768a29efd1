from __future__ import annotations

TYPE_CHECKING = False  # the traced process imports this package for its last word, and nothing else for that
if TYPE_CHECKING:
    from collections.abc import Callable


def count(number: int, noun: str) -> str:
    """1 site, 1,234 sites, 2 processes."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def size(number: int) -> str:
    """Bytes in binary units: 98.2 MiB."""
    value, unit = float(number), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{number} B" if unit == "B" else f"{value:.1f} {unit}"


def short_size(number: float) -> str:
    """Bytes in five characters or less, and a sign: 172M, 98.2M, 4.0K, -1.5G, 12B."""
    value, units = abs(number), iter("BKMGTPE")
    unit = next(units)
    while value >= 999.5 and unit != "E":
        value, unit = value / 1024, next(units)
    digits = f"{value:.0f}" if unit == "B" or value >= 99.95 else f"{value:.1f}"
    return f"{'-' if number < 0 else ''}{digits}{unit}" if number else "0"


def short_count(number: int) -> str:
    """In five characters or less: 1234, 56.7k, 1.2M."""
    if number < 10_000:
        return f"{number}"
    value, units = number / 1000, iter("kMGTPE")
    unit = next(units)
    while value >= 999.5 and unit != "E":
        value, unit = value / 1000, next(units)
    return f"{value:.0f}{unit}" if value >= 99.95 else f"{value:.1f}{unit}"


def short_time(seconds: float) -> str:
    """In six characters or less: 83us, 1.2ms, 12.3s, 45min, 12.3h."""
    if seconds < 0.0000005:
        return "0"
    for value, unit, above in ((seconds * 1e6, "us", 999.5), (seconds * 1e3, "ms", 999.5), (seconds, "s", 599.5)):
        if value < above:
            return f"{value:.0f}{unit}" if value >= 99.95 or unit == "us" else f"{value:.1f}{unit}"
    return f"{seconds / 60:.0f}min" if seconds < 35970 else f"{seconds / 3600:.1f}h"


def signed(text: str) -> str:
    """A number as text with its sign, also of a growth; nothing is left without."""
    return text if text.startswith("-") or text == "0" else f"+{text}"


def elided(text: str, width: int, cells: Callable[[str], int] = len) -> str:
    """At most so wide, without a part from its middle: `a_very...name`. cells: how wide a text is."""
    if len(text) <= 2 * width and cells(text) <= width:  # a character is two cells wide at most
        return text
    if width <= 3:
        return "..."[:width]
    front = (width - 3) // 2
    first, last = text[:front], text[-(width - 3 - front) :]
    while cells(first) > front:
        first = first[:-1]
    while cells(last) > width - 3 - front:
        last = last[1:]
    return f"{first}...{last}"


def printable(text: str) -> str:
    """One line, nothing that a terminal would obey: other characters as escapes."""
    return text if text.isprintable() else "".join([c if c.isprintable() else ascii(c)[1:-1] for c in text])
