"""The figures of the loop: what of a time its steps take, and ratios of pairs."""

from benchmarks.deploying import Pairs
from benchmarks.loop import Phase
from benchmarks.measure import Cost

NOON = 1_795_521_600.0  # 2026-11-24T12:00:00Z


def record(begin: int | None, end: int | None, kind: str = "Task", result: str = "succeeded") -> dict[str, object]:
    start, finish = (None if each is None else f"2026-11-24T12:00:{each:02}.0000000Z" for each in (begin, end))
    return {"type": kind, "result": result, "startTime": start, "finishTime": finish}


def test_steps_that_run_beside_each_other_count_once() -> None:
    phase = Phase.of("all", NOON, NOON + 30, [record(20, 25), record(5, 10), record(8, 12), record(9, 10)])
    assert phase.seconds == 30
    assert phase.steps == (12, 4)


def test_only_the_steps_of_a_part_count_for_it_and_only_what_falls_into_it() -> None:
    records = [
        record(0, 12),
        record(18, 40),
        record(2, 3),
        record(14, 15, result="skipped"),
        record(11, 19, kind="Job"),
        record(12, None),
    ]
    assert Phase.of("part", NOON + 10, NOON + 20, records).steps == (4, 2)


def test_ratios_are_of_what_was_measured_one_right_after_the_other() -> None:
    def costs(*seconds: float) -> list[Cost]:
        return [Cost(wall=each, cpu=each, memory=0) for each in seconds]

    # In the middle the machine was busy.
    assert Pairs(ours=costs(11, 55, 12), bare=costs(10, 50, 10)).ratio(lambda cost: cost.wall) == 1.1
