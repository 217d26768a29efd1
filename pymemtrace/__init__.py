"""A memory flight recorder for CPython: RSS at every Python and C call and return.

`trace` records this process, as a context manager or a decorator; `rss()` and `rss_peak()` are bytes, now; `read`
opens what a recording left behind, `read_run` what the processes of a run did, `read_samples` what the sampler wrote;
`process.log_process` samples without recording. Importing starts nothing.
"""

from .tracing import rss, rss_peak, trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import process
    from .reader import read, read_run, read_samples

__all__ = ["__version__", "process", "read", "read_run", "read_samples", "rss", "rss_peak", "trace"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """The readers, when they are asked for: the traced process is not to have what they import."""
    if name in ("read", "read_run", "read_samples"):
        from . import reader

        return getattr(reader, name)
    if name == "process":
        import importlib

        return importlib.import_module(".process", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
