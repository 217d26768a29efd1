"""For programs whose growth is judged to the page: what Python itself takes beside must find touched pages."""

from __future__ import annotations

import sys

LARGEST = 512  # bytes: what is larger comes from malloc
_kept: list[list[bytes]] = []


def make_room() -> None:
    """Leave free blocks of each small size in pages that have been touched: objects made later take no new page.

    Where a size's pool happens to be full depends on all that was allocated before, even on the lengths of paths.
    """
    for size in range(8, LARGEST + 1, 8):
        blocks = [bytes(max(0, size - sys.getsizeof(b""))) for _ in range(4 * 16384 // size)]
        _kept.append(blocks[::2])
