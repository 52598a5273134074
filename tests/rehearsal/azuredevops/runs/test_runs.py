"""Runs as people and pipelines see them: what starts them, how stages and jobs follow each other, how they end."""

from typing import Any

import pytest

from tests.rehearsal.azuredevops.organization import SOCKETS_LEFT_OPEN
from tests.rehearsal.azuredevops.runs.pipelines import Pipelines, until

pytestmark = SOCKETS_LEFT_OPEN

ONE_JOB = """
trigger: none
jobs:
  - job: one
    steps:
      - script: echo 1
"""


def test_a_run_goes_to_an_agent_and_ends_as_the_agent_says(pipelines: Pipelines) -> None:
    definition = pipelines.define("build", ONE_JOB)
    run = pipelines.build.queue_build({"definition": {"id": definition}}, pipelines.project.id)
    agent = pipelines.agent()
    job = agent.next()
    assert (job.name, job.run_id, job.definition.id) == ("one", run.id, definition)
    record = {"id": "s1", "type": "Task", "name": "CmdLine", "order": 1, "state": "completed", "result": "succeeded"}
    agent.call(job, "timeline", {"records": [record]})
    agent.http.post(f"/jobs/{job.id}/logs/s1/0", content=b"first\n").raise_for_status()
    # The agent lost the first answer, and has one line more by now; but it can't leave lines out.
    agent.http.post(f"/jobs/{job.id}/logs/s1/0", content=b"first\nsecond\n").raise_for_status()
    assert agent.http.post(f"/jobs/{job.id}/logs/s1/3", content=b"fourth\n").status_code == 400
    assert agent.http.post(f"/jobs/{job.id}/logs/s1", content=b"third\n").status_code == 400
    assert pipelines.build.get_build(pipelines.project.id, run.id).status == "inProgress"
    agent.finish(job, "SucceededWithIssues")
    assert pipelines.result(run.id) == "partiallySucceeded"
    timeline = pipelines.build.get_build_timeline(pipelines.project.id, run.id)
    kinds = {each.type: each for each in timeline.records}
    assert kinds["Task"].parent_id == kinds["Job"].id == job.id
    assert kinds["Job"].worker_name == "agent-1"
    assert kinds["Job"].parent_id == kinds["Phase"].id
    assert kinds["Phase"].parent_id == kinds["Stage"].id
    log = kinds["Task"].log
    assert pipelines.build.get_build_log_lines(pipelines.project.id, run.id, log.id) == ["first", "second"]
    text = b"".join(pipelines.build.get_build_log(pipelines.project.id, run.id, log.id))
    assert text == b"first\nsecond\n"
    assert [each.line_count for each in pipelines.build.get_build_logs(pipelines.project.id, run.id)] == [2]


def test_a_push_starts_the_pipelines_whose_trigger_takes_the_branch(pipelines: Pipelines) -> None:
    silent = pipelines.define("other", ONE_JOB.replace("none", "[main]"))
    definition = pipelines.define("build", ONE_JOB.replace("none", "[main]"), ci=True)
    made = pipelines.push({"a.txt": "1"})
    run = pipelines.first_run_of(definition)
    assert (run["reason"], run["sourceBranch"], run["sourceVersion"]) == ("individualCI", "refs/heads/main", made)
    pipelines.push({"a.txt": "2"}, branch="feature")
    pipelines.push({"a.txt": "3"}, message="words [skip ci]")
    pipelines.push({"a.txt": "4"})
    assert pipelines.first_run_of(definition, 2)["sourceBranch"] == "refs/heads/main"
    assert len(pipelines.runs_of(definition)) == 2
    assert pipelines.runs_of(silent) == []
    pipelines.agent().work("one", "one")


def test_a_push_of_a_file_that_cannot_be_read_leaves_a_failed_run_that_says_where(pipelines: Pipelines) -> None:
    definition = pipelines.define("build", ONE_JOB.replace("none", "[main]"), ci=True)
    pipelines.push({"build.yml": "trigger: [main]\njobs:\n  - job: one\n    stepz: []\n"})
    run = pipelines.first_run_of(definition)
    assert run["result"] == "failed"
    assert "/build.yml (Line: 4, Col: 5)" in run["validationResults"][0]["message"]


def test_the_end_of_a_build_starts_the_release_at_the_same_commit(pipelines: Pipelines) -> None:
    release = """
trigger: none
resources:
  pipelines:
    - pipeline: build
      source: build
      trigger:
        branches:
          include: [main]
jobs:
  - job: two
    variables:
      number: $[ resources.pipeline.build.runName ]
    steps:
      - download: build
"""
    build = pipelines.define("build", ONE_JOB)
    follower = pipelines.define("release", release)
    agent = pipelines.agent()
    failed = pipelines.run(build)
    agent.work("one", result="Failed")
    assert pipelines.result(failed) == "failed"
    pipelines.push({"b.txt": "0"}, branch="feature")
    elsewhere = pipelines.run(build, resources={"repositories": {"self": {"refName": "refs/heads/feature"}}})
    agent.work("one")
    assert pipelines.result(elsewhere) == "succeeded"
    made = pipelines.push({"b.txt": "1"})
    good = pipelines.run(build)
    pipelines.push({"b.txt": "2"})
    agent.work("one")
    run = pipelines.first_run_of(follower)
    assert (run["reason"], run["sourceVersion"]) == ("resourceTrigger", made)
    job = agent.next()
    assert job.pipelines["build"].run_id == good
    assert job.predefined["Build.TriggeredBy.BuildId"] == str(good)
    assert {each.name: each.value for each in job.variables}["number"] == pipelines.of(good)["buildNumber"]
    agent.finish(job)
    assert pipelines.result(run["id"]) == "succeeded"
    assert len(pipelines.runs_of(follower)) == 1


def test_a_release_can_be_queued_with_an_earlier_build(pipelines: Pipelines) -> None:
    release = """
trigger: none
resources:
  pipelines: [{pipeline: build, source: build}]
jobs: [{job: two, steps: [{download: build}]}]
"""
    build = pipelines.define("build", ONE_JOB)
    definition = pipelines.define("release", release)
    nothing = pipelines.try_to_run(definition)
    assert nothing.status_code == 400
    assert "Unable to resolve latest version for pipeline build" in nothing.json()["message"]
    agent = pipelines.agent()
    builds = []
    for _ in range(2):
        builds.append(pipelines.run(build))
        agent.work("one")
        pipelines.ended(builds[-1])
    number = pipelines.of(builds[0])["buildNumber"]
    for version, expected in ((number, builds[0]), (str(builds[0]), builds[0]), (None, builds[1])):
        resources = {"pipelines": {"build": {"version": version}}} if version else {}
        run = pipelines.run(definition, resources=resources)
        job = agent.next()
        assert (job.run_id, job.pipelines["build"].run_id) == (run, expected)
        agent.finish(job)
    refused = pipelines.try_to_run(definition, resources={"pipelines": {"build": {"version": "nothing"}}})
    assert refused.status_code == 400
    assert "nothing" in refused.json()["message"]


GRAPH = """
trigger: none
stages:
  - stage: A
    jobs:
      - job: first
        steps: [{script: echo, name: set}]
      - job: second
        dependsOn: first
        condition: and(succeeded(), eq(dependencies.first.outputs['set.x'], 'yes'))
        variables:
          taken: $[ dependencies.first.outputs['set.x'] ]
        steps: [{script: echo}]
      - job: third
        dependsOn: first
        condition: eq(dependencies.first.outputs['set.x'], 'no')
        steps: [{script: echo}]
  - stage: B
    condition: eq(dependencies.A.outputs['first.set.x'], 'yes')
    jobs:
      - job: fourth
        variables:
          taken: $[ stageDependencies.A.first.outputs['set.x'] ]
          hidden: $[ stageDependencies.A.first.outputs['set.secret'] ]
        steps: [{script: echo}]
  - stage: C
    dependsOn: A
    condition: failed()
    jobs: [{job: fifth, steps: [{script: echo}]}]
"""


def test_conditions_and_outputs_lead_from_job_to_job_and_from_stage_to_stage(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("graph", GRAPH))
    agent = pipelines.agent()
    first = agent.next()
    agent.finish(first, outputs={"set.x": {"value": "yes"}, "set.secret": {"value": "hush!", "secret": True}})
    second = agent.next()
    assert (second.name, {each.name: each.value for each in second.variables}) == ("second", {"taken": "yes"})
    agent.finish(second)
    fourth = agent.next()
    assert {each.name: each.secret for each in fourth.variables} == {"taken": False, "hidden": True}
    assert fourth.secrets == {"hidden": "hush!"}
    agent.finish(fourth)
    assert pipelines.result(run) == "succeeded"
    assert pipelines.results(run) == {"A": "succeeded", "B": "succeeded", "C": "skipped"}
    jobs = pipelines.results(run, "Job")
    assert jobs == {"first": "succeeded", "second": "succeeded", "third": "skipped"} | {
        "fourth": "succeeded", "fifth": "skipped",
    }  # fmt: skip


def test_a_failed_job_fails_its_stage_and_what_asks_for_failure_runs(pipelines: Pipelines) -> None:
    run = pipelines.run(pipelines.define("graph", GRAPH))
    agent = pipelines.agent()
    agent.work("first", result="Failed")
    agent.work("fifth")
    assert pipelines.result(run) == "failed"
    assert pipelines.results(run) == {"A": "failed", "B": "skipped", "C": "succeeded"}


def test_a_stage_that_is_left_out_is_not_waited_for(pipelines: Pipelines) -> None:
    yaml = """
trigger: none
stages:
  - stage: A
    jobs: [{job: first, steps: [{script: echo}]}]
  - stage: B
    jobs: [{job: second, steps: [{script: echo}]}]
"""
    run = pipelines.run(pipelines.define("two", yaml), stagesToSkip=["A"])
    pipelines.agent().work("second")
    assert pipelines.result(run) == "succeeded"
    assert pipelines.results(run) == {"A": "skipped", "B": "succeeded"}


def test_parameters_reach_the_plan_and_wrong_ones_are_refused(pipelines: Pipelines) -> None:
    yaml = """
trigger: none
parameters:
  - {name: who, type: string, default: nobody, values: [nobody, dana]}
name: run-${{ parameters.who }}-$(Rev:r)
jobs:
  - ${{ if eq(parameters.who, 'dana') }}:
      - job: danas
        steps: [{script: echo}]
  - job: always
    steps: [{script: echo}]
"""
    definition = pipelines.define("parameters", yaml)
    names = []
    for given, jobs in (
        ({"who": "dana"}, ["danas", "always"]),
        ({"who": "dana"}, ["danas", "always"]),
        ({}, ["always"]),
    ):
        run = pipelines.run(definition, templateParameters=given)
        pipelines.agent().work(*jobs)
        names.append(pipelines.ended(run)["buildNumber"])
    assert names == ["run-dana-1", "run-dana-2", "run-nobody-1"]
    wrong = pipelines.try_to_run(definition, templateParameters={"who": "devin"})
    assert wrong.status_code == 400
    assert "'devin' is not a valid value" in wrong.json()["message"]
    preview = pipelines.http().post(f"pipelines/{definition}/preview", json={"templateParameters": {"who": "devin"}})
    assert preview.status_code == 400


def test_variables_are_set_when_a_run_is_queued_only_if_the_settings_say_so(pipelines: Pipelines) -> None:
    settings = {"open": {"value": "1", "allowOverride": True}, "closed": {"value": "1"}}
    definition = pipelines.define(
        "build", ONE_JOB, variables=settings | {"hidden": {"value": "hush!", "isSecret": True}}
    )
    refused = pipelines.try_to_run(definition, variables={"closed": {"value": "2"}})
    assert refused.status_code == 400
    assert "You can't set the following variables (closed)" in refused.json()["message"]
    pipelines.run(definition, variables={"open": {"value": "2"}})
    agent = pipelines.agent()
    job = agent.next()
    assert [(each.name, each.value) for each in job.variables if each.name == "open"][-1] == ("open", "2")
    assert job.secrets == {"hidden": "hush!"}
    agent.finish(job)


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ("[{job: a, steps: [{task: Nothing@1}]}]", "a task called 'Nothing'"),
        ("[{job: a, pool: Somewhere, steps: [{script: echo}]}]", "Could not find a pool with name Somewhere"),
        (
            "[{deployment: a, environment: nowhere, strategy: {runOnce: {deploy: {steps: []}}}}]",
            "Environment nowhere could not be found",
        ),
        ("[{job: a, variables: [{group: none}], steps: []}]", "Variable group none was not found"),
        ("[{job: a, steps: []}, {job: A, steps: []}]", "job A appears more than once"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_of_it_is_kept(
    pipelines: Pipelines, jobs: str, message: str
) -> None:
    definition = pipelines.define("wrong", f"trigger: none\njobs: {jobs}\n")
    answer = pipelines.try_to_run(definition)
    assert answer.status_code == 400
    assert answer.json()["typeKey"] == "PipelineValidationException"
    assert message in answer.json()["message"]
    assert "/wrong.yml (Line: 2" in answer.json()["message"]
    assert pipelines.runs_of(definition) == []


def test_a_branch_that_is_not_there_is_refused(pipelines: Pipelines) -> None:
    definition = pipelines.define("build", ONE_JOB)
    own = {"repositories": {"self": {"refName": "refs/heads/nowhere"}}}
    answer = pipelines.try_to_run(definition, resources=own)
    assert answer.status_code == 400
    assert "TF401175" in answer.json()["message"]


def test_a_stage_waits_until_the_pipeline_may_use_its_environment(pipelines: Pipelines) -> None:
    yaml = """
trigger: none
jobs:
  - deployment: deploy
    environment: test
    strategy: {runOnce: {deploy: {steps: [{script: echo}]}}}
"""
    environment = pipelines.environment("test")
    definition = pipelines.define("release", yaml)
    run = pipelines.run(definition)

    def asked() -> Any:
        return pipelines.records(run, "Checkpoint.Authorization").get("Checkpoint.Authorization")

    record = until(asked, "a checkpoint")
    assert (record["state"], record["result"]) == ("inProgress", None)
    assert "needs permission to access a resource" in record["issues"][0]["message"]
    assert "environment test" in record["issues"][0]["message"]
    assert pipelines.records(run, "Checkpoint")["Checkpoint"]["state"] == "inProgress"
    pipelines.permit("environment", environment, definition)
    agent = pipelines.agent()
    job = agent.next()
    assert job.environment is not None
    assert (job.environment.name, job.predefined["Environment.Name"]) == ("test", "test")
    assert [hook.name for hook in job.hooks] == ["deploy"]
    agent.finish(job)
    assert pipelines.result(run) == "succeeded"
    assert asked()["result"] == "succeeded"


def test_runs_go_to_the_agents_in_the_order_in_which_they_came(pipelines: Pipelines) -> None:
    definition = pipelines.define("build", ONE_JOB)
    runs = [pipelines.run(definition) for _ in range(5)]
    agent = pipelines.agent()
    assert [agent.work("one")[0].run_id for _ in runs] == runs
    assert {pipelines.result(run) for run in runs} == {"succeeded"}


def test_an_agent_of_one_pool_gets_no_job_of_another(pipelines: Pipelines) -> None:
    yaml = "trigger: none\njobs: [{job: a, pool: Default, steps: [{script: echo}]}]\n"
    definition = pipelines.define("pool", yaml)
    queues = pipelines.http().get("distributedtask/queues", params={"queueNames": "Default"}).json()["value"]
    pipelines.permit("queue", queues[0]["id"], definition)
    run = pipelines.run(definition)
    until(lambda: pipelines.records(run, "Phase")["a"]["state"] == "inProgress", "a job that waits")
    hosted = pipelines.agent(pool="Azure Pipelines")
    assert hosted.http.post("/next", json={"agent": "x", "pool": "Azure Pipelines", "wait": 1}).status_code == 204
    pipelines.agent(pool="default").work("a")
    assert pipelines.result(run) == "succeeded"


def test_a_matrix_becomes_one_job_for_each_leg(pipelines: Pipelines) -> None:
    yaml = """
trigger: none
jobs:
  - job: many
    strategy:
      maxParallel: 1
      matrix:
        red: {colour: red}
        blue: {colour: blue}
    steps: [{script: echo}]
  - job: after
    dependsOn: many
    variables:
      taken: $[ dependencies.many.outputs['blue.set.x'] ]
    steps: [{script: echo}]
"""
    run = pipelines.run(pipelines.define("matrix", yaml))
    agent = pipelines.agent()
    for colour in ("red", "blue"):
        job = agent.next()
        assert {each.name: each.value for each in job.variables}["colour"] == colour
        assert (job.output_prefix, job.predefined["System.JobName"]) == (f"{colour}.", colour)
        assert agent.http.post("/next", json={"agent": "other", "wait": 0.5}).status_code == 204  # one at a time
        agent.finish(job, outputs={f"{colour}.set.x": {"value": colour}})
    after = agent.next()
    assert {each.name: each.value for each in after.variables}["taken"] == "blue"
    agent.finish(after)
    assert pipelines.result(run) == "succeeded"
    assert set(pipelines.results(run, "Job")) == {"many red", "many blue", "after"}
