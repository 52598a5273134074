"""What the benchmark makes of its targets."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import __main__ as benchmark
from benchmarks.lakehouse import report


@pytest.mark.parametrize(("reached", "code", "verdict"), [(2.0, 0, "reached"), (2.01, 1, "MISSED")])
def test_a_missed_target_fails_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], reached: float, code: int, verdict: str
) -> None:
    def measure(_: Path, **__: Any) -> Iterator[tuple[str, float, float, str]]:
        yield "chain, of the plain script", reached, 2.0, ""
        yield "the runner, of plain Python", 1.0, 1.1, ""

    monkeypatch.setattr(benchmark, "ensure", lambda: None)
    monkeypatch.setattr(report, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--parts", "notebooks"])
    assert benchmark.main() == code
    printed = capsys.readouterr().out
    assert f"at most    2.00        {verdict}" in printed
    assert "at most    1.10        reached" in printed
