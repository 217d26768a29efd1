"""CPython's own tests come out under the recorder as they do without it: those that are quick. The rest is for
`make test-cpython`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cpython import compare, modules

pytestmark = pytest.mark.not_sanitized


@pytest.mark.slow_once
@pytest.mark.parametrize("module", modules.SHORT)
def test_same_results(tmp_path: Path, module: str) -> None:
    # GIVEN a module of CPython's tests
    reason = modules.missing(module)
    if reason is not None:
        pytest.skip(reason)
    # WHEN it runs without and with the recorder, children and all
    wrong = compare.compare(module, tmp_path, [], compare.expected(module))
    # THEN each case comes out the same, and each file is whole
    assert not wrong, "\n".join(wrong)


def outcome(status: int | None, **cases: str) -> modules.Outcome:
    return modules.Outcome(status, cases, dict.fromkeys(cases, "because"))


def test_differences_are_found() -> None:
    # GIVEN results without the recorder, and others
    plain = outcome(0, one="passed", two="skipped", three="failure")
    # WHEN, THEN
    same = outcome(0, one="passed", two="skipped", three="failure")
    assert list(compare.differences(plain, same)) == []
    crashed = outcome(-11)
    assert [d.case for d in compare.differences(plain, crashed)] == ["one", "two", "three"]
    failed = outcome(2, one="error", two="skipped", three="failure", four="passed")
    found = [(d.case, d.plain, d.recorded) for d in compare.differences(plain, failed)]
    assert found == [("one", "passed", "error"), ("four", "not run", "passed")]
    hung = outcome(None, one="passed", two="skipped", three="failure")
    found = [(d.case, d.plain, d.recorded) for d in compare.differences(plain, hung)]
    assert found == [(compare.WHOLE, "status 0", "hung")]


def test_files_that_are_not_whole_are_found(tmp_path: Path) -> None:
    # GIVEN a log that was cut, and what a killed recording leaves
    cut, ring = tmp_path / "cut.log", tmp_path / "cut.log.ring"
    cut.write_text("")
    ring.write_bytes(b"")
    # WHEN
    found = compare.torn(modules.Outcome(0, logs=[cut, ring]))
    # THEN
    assert len(found) == 2 and all(f"{tmp_path}/cut.log" in line for line in found)
    assert compare.torn(modules.Outcome(0)) == ["nothing was recorded"]


def test_every_expected_difference_has_its_reason() -> None:
    for entry in compare.entries():
        assert entry["module"] in modules.MODULES and len(entry["reason"]) > 20 and entry["versions"]
