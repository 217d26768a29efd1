"""Other versions of Python on this machine."""

from __future__ import annotations

import functools
import os
import re
import sys
from pathlib import Path


@functools.cache
def others() -> list[str]:
    """Executables of versions for which the extension beside us is not built; those of pyenv, one a minor version."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = [path for path in sorted(root.glob("versions/*/bin/python")) if re.fullmatch(r"[\d.]+", path.parts[-3])]
    here = "%d.%d" % sys.version_info[:2]
    return [str(path) for path in found if path.parts[-3].rpartition(".")[0] != here]


def version(executable: str) -> str:
    return Path(executable).parts[-3]
