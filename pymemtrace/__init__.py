"""A memory flight recorder for CPython: RSS at every Python and C call and return.

`trace` records this process, as a context manager or a decorator; `rss()` and `rss_peak()` are bytes, now; `read`
opens what a recording left behind. Importing starts nothing.
"""

from .tracing import rss, rss_peak, trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .reader import read

__all__ = ["__version__", "read", "rss", "rss_peak", "trace"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`read`, when it is asked for: the traced process is not to have what it imports."""
    if name == "read":
        from .reader import read

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
