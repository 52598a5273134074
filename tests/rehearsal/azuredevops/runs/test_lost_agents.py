"""Jobs whose agents fall silent, by a service that waits four seconds for them."""

from tests.rehearsal.azuredevops.organization import SOCKETS_LEFT_OPEN
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, until
from tests.rehearsal.azuredevops.runs.test_endings import TWO_STAGES

pytestmark = SOCKETS_LEFT_OPEN
AGENT_TIMEOUT = 4.0


def test_a_job_whose_agent_falls_silent_fails_and_says_so(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("two", TWO_STAGES))
    agent = pipelines.agent("lost-agent")
    job = agent.next()
    agent.call(job, "heartbeat")
    until(lambda: pipelines.results(run, "Job")["first"], "the end of the job")
    record = pipelines.records(run, "Job")["first"]
    assert record["result"] == "failed"
    assert "We stopped hearing from agent lost-agent" in record["issues"][0]["message"]
    assert agent.call(job, "heartbeat") == {"cancel": True}
    agent.finish(job)  # too late
    assert pipelines.results(run, "Job")["first"] == "failed"


def test_a_job_that_got_lost_on_its_way_to_the_agent_is_handed_out_again(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("two", TWO_STAGES))
    lost = pipelines.agent("lost-agent").next()
    agent = pipelines.agent()
    agent.work("second")
    (again,) = agent.work("first")
    assert again.id == lost.id
    assert again.token != lost.token
    agent.work("third", "last")
    assert pipelines.result(run) == "succeeded"
