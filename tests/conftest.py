"""What all tests share: the helpers' folder on the path, children with time limits, the C extension of the tests."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No example of a property is judged by how long it took: the machine may be busy with others.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

sys.path.insert(0, str(Path(__file__).resolve().parent))

from support import child, extension  # noqa: E402


@pytest.fixture(autouse=True)
def _no_callbacks_of_others() -> Iterator[None]:
    """Hypothesis times collections by a function in gc.callbacks: one that falls into a recording would be events."""
    kept = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = kept


@pytest.fixture
def run_child(tmp_path: Path) -> Callable[..., child.Child]:
    """run_child(source, *args, env=, options=, timeout=, expect=): a program of its own, in a folder of its own."""
    folder = tmp_path / "child"
    folder.mkdir()

    @functools.wraps(child.run_source)
    def run(source: str, *args: object, **options: object) -> child.Child:
        return child.run_source(source, folder, *args, **options)  # type: ignore[arg-type]

    return run


@pytest.fixture(params=child.ENGINES)
def each_engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once for each engine of this Python: the programs that it starts record by that one."""
    engine: str = request.param
    monkeypatch.setattr(child, "engine", engine)
    return engine


@pytest.fixture(scope="session")
def probe_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built C extension `probe`, to be put on a child's sys.path."""
    return extension.build("probe", tmp_path_factory.mktemp("extensions"))
