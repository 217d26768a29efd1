"""A memory flight recorder for CPython: RSS at every Python and C call and return.

`trace` records this process, as a context manager or a decorator; `rss()` and `rss_peak()` are bytes, now; `read`
opens what a recording left behind, `read_run` what the processes of a run did. Importing starts nothing.
"""

from .tracing import rss, rss_peak, trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .reader import read, read_run

__all__ = ["__version__", "read", "read_run", "rss", "rss_peak", "trace"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`read` and `read_run`, when they are asked for: the traced process is not to have what they import."""
    if name in ("read", "read_run"):
        from . import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
