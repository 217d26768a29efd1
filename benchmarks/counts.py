"""Numbers as people write them: 12K, 10M, 1G; powers of 1000."""

from __future__ import annotations

import re

FACTORS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3}


def parse(text: str) -> int:
    """Raises: ValueError, one sentence, for what is no number of at least 1."""
    match = re.fullmatch(r"([0-9]+)([KMG]?)", text.upper())
    value = int(match[1]) * FACTORS[match[2]] if match else 0
    if value < 1:
        raise ValueError(f"{text!r} is not a number of at least 1, such as 20, 70K or 10M")
    return value


def short(number: int) -> str:
    """The shortest way to write it: 70K, 10M, 1234."""
    for unit in ("G", "M", "K"):
        if number % FACTORS[unit] == 0 and number > 0:
            return f"{number // FACTORS[unit]}{unit}"
    return str(number)
