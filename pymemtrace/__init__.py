"""A memory flight recorder for CPython: RSS at every Python and C call and return.

`trace` records this process, as a context manager or a decorator; `rss()` and `rss_peak()` are bytes, now.
Importing starts nothing.
"""

from .tracing import rss, rss_peak, trace

__all__ = ["__version__", "rss", "rss_peak", "trace"]

__version__ = "0.1.0"
