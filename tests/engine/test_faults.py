"""A seeded handful of the fault series; `make faults` runs all of it."""

import os

import pytest

from tests.engine.faults import Bench, handful, trials
from tests.engine.shelf import Shelf

pytestmark = pytest.mark.engine

SEED = int(os.environ.get("FAULTS_SEED", "1"))


@pytest.fixture(scope="module")
def bench(shelf: Shelf) -> Bench:
    return Bench(shelf)


@pytest.mark.parametrize("number", range(4))
def test_an_up_gets_over_a_fault_or_fails_clearly_and_the_next_converges(bench: Bench, number: int) -> None:
    result = bench.run(handful(trials(bench), SEED, 4)[number])
    assert result.good, f"{result.trial}: {result.verdict}\n{result.detail}"


@pytest.mark.parametrize("route", ["/policy/configurations", "/jobs/create"])
def test_a_create_that_was_done_before_the_connection_broke_is_not_doubled(bench: Bench, route: str) -> None:
    (done,) = (
        trial
        for trial in trials(bench)
        if (trial.stack, trial.method, trial.fault) == ("test", "POST", "reset after") and trial.route.endswith(route)
    )
    result = bench.run(done)
    assert result.verdict == "through", f"{result.verdict}\n{result.detail}"
