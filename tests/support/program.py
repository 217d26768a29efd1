"""How the programs of tests begin."""

from __future__ import annotations

_IMPORTS = """
    import os
    import signal
    import sys
    import pymemtrace
    from support.child import report

    path = sys.argv[1]
"""
_FUNCTION = """
    def {name}(n):
        return {value}
"""


def head(*functions: str, work: str = "abs(n)") -> str:
    """Imports; `path`, the first argument: the log; `work(n)`, and `functions` that call it, to be told apart there.

    Indented by four, as the rest of a program in a test is.
    """
    return _IMPORTS + "".join(
        _FUNCTION.format(name=name, value="work(n)" if name != "work" else work) for name in ("work", *functions)
    )
