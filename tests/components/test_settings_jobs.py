"""The settings of jobs: what they mean when they are right, and what the program says when they are wrong."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from components.settings import SettingsError, parse
from components.settings_model import Autoscale, Cluster, Job, Notify, Principal, Settings
from tests.components.settings_samples import (
    DESTINATION,
    ENVIRONMENT,
    FULL,
    SERVICE_PRINCIPAL,
    changed,
    make_project,
    mistakes,
    without,
)

BASE: dict[str, Any] = {"environment": "test", "controlPlane": {"project": {}}, "workspace": {"folder": "/bikes"}}
UUIDS = [f"00000000-0000-0000-0000-00000000000{number}" for number in range(4)]
OWNERS = [{"user": f"{who}@example.com", "level": "IS_OWNER"} for who in ("ann", "bob")]
GROUP_OWNS = [{"group": "data-engineers", "level": "IS_OWNER"}]
MANY_TAGS = {f"tag{number}": "" for number in range(23)}
SCALA = {"notebook": "rides"}

# path of the setting, its wrong value, the key that is reported ("" for the path itself), and words that stand under
# "found", "allowed" and "remedy"
WRONG: list[tuple[str, Any, str, str, str, str]] = [
    ("jobs.daily.tasks.load.notebook", "load/trip", "", '"load/trip"', "load/trips, report", "load/trips"),
    ("jobs.daily.tasks.load.notebook", "load/trips.py", "", "trips.py", "without extension", " load/trips"),
    ("jobOverrides.suite.notebook", "tests/functionl", "", "functionl", "tests/functional", " tests/functional"),
    ("jobs.daily.notebook", "report", "", "notebook and tasks together", "of one task", "config rm"),
    ("jobOverrides.suite", {"tasks": {}}, "jobOverrides.suite.tasks", "0 tasks", "from 1 to 1,000 tasks", "ingest:"),
    ("jobOverrides.suite", {"tasks": []}, "jobOverrides.suite.tasks", "[] (a list)", "a mapping", "ingest:"),
    ("jobs.daily.tasks.report.after", "load", "", '"load"', "a list of tasks of this job: check, load", "- load"),
    ("jobs.daily.tasks.report.after[0]", "laod", "", '"laod"', "check, load, report", " load"),
    ("jobs.daily.tasks.load.after", ["load"], "", "a circle: load waits for load", "none waits for itself", "take"),
    ("jobs.daily.tasks.load.after", ["check"], "", "a circle: ", "can begin", "Pulumi.test.yaml"),
    ("jobs.daily.tasks.report.runIf", "ALWAYS", "", '"ALWAYS"', "ALL_DONE, AT_LEAST_ONE_FAILED", "ALL_"),
    ("jobs.daily.tasks.load.runIf", "ALL_DONE", "", "after no other", "beside after", "config rm"),
    ("jobs.daily.tasks.load.retries", 11, "", "11", "from 0 to 10", "1"),
    ("jobs.daily.tasks.load.timeoutMinutes", 31, "", "31", "the whole job, 30", "30"),
    ("jobs.daily.tasks.report.retryOnTimeout", True, "", "no timeoutMinutes", "beside timeoutMinutes", "15"),
    ("jobs.daily.tasks.load.compute", "bigg", "", '"bigg"', "one of serverless, big", "big"),
    ("jobs.daily.tasks.load.parameters.city", "Graz", "", "the job has a parameter", "win over a task's", "config rm"),
    ("jobs.daily.parameters.city", 5, "", "5", "a text", "'5'"),
    ("jobDefaults.parameters.catalog", True, "", "true", "a text", "true"),
    ("jobDefaults.compute", "big", "", '"big"', "one of serverless", "serverless"),
    ("jobs.daily.schedule.cron", "30 5 * * *", "", '"30 5 * * *"', "Quartz", "0 30 5 * * ?"),
    ("jobs.daily.schedule.cron", "0 30 5 * * *", "", '"0 30 5 * * *"', "with ? in", "0 30 5 * * ?"),
    ("jobs.daily.schedule.timeZone", "Europe/Berln", "", '"Europe/Berln"', "IANA", "Europe/Berlin"),
    ("jobs.daily.schedule.timeZone", "Europe", "", '"Europe"', "IANA", ""),
    ("jobs.daily.schedule.timeZone", "../../etc/passwd", "", "passwd", "IANA", ""),
    ("jobs.daily.timeoutMinutes", 0, "", "0", "minutes from 1", "60"),
    ("jobs.daily.warnAfterMinutes", 30, "", "30", "fewer minutes than timeoutMinutes, 30", "15"),
    ("jobs.daily.maxConcurrentRuns", 1001, "", "1001", "from 1 to 1000", "1"),
    ("jobs.daily.runAs", {"group": "a"}, "", "group", "exactly one of user, servicePrincipal", "user: somebody"),
    ("jobs.daily.runAs", "dana@example.com", "", '"dana@example.com"', "a mapping of keys", "user: somebody@"),
    ("jobs.daily.runAs.servicePrincipal", "x", "", '"x"', "application id", "00000000-"),
    ("jobs.daily.notify", ["dana@example.com"], "", "(a list)", "a mapping of keys", "emails:"),
    ("jobs.daily.notify.emails[0]", "dana", "", '"dana"', "e-mail", "somebody@example.com"),
    ("jobs.daily.notify.webhooks[0]", "https://example.com", "", "https", "notification destinations", "00000000-"),
    ("jobs.daily.notify.webhooks", UUIDS, "", "4 destinations", "at most 3", "webhooks[3]"),
    ("jobs.daily.clusters.big.workers", 2, "", "workers and autoscale together", "null takes", "big.autoscale"),
    ("jobs.daily.clusters.big.autoscale.max", 0, "", "0", "from 1 to 1000", "1"),
    ("jobs.daily.clusters.big.autoscale.min", 5, "jobs.daily.clusters.big.autoscale.max", "4", "at least min, 5", "5"),
    ("jobs.daily.clusters.big.sparkVersion", "16.4", "", '"16.4"', "Databricks Runtime", "16.4.x-scala2.12"),
    ("jobs.daily.clusters.big.nodeType", "a b", "", '"a b"', "virtual machine", "Standard_D4ds_v5"),
    ("jobs.daily.clusters.big.sparkConf.x", 5, "", "5", "a text", "'5'"),
    ("jobs.daily.tags.release", "1", "", '"1"', "the program's own tags", "config rm"),
    ("jobs.daily.tags.team", "a\tb", "", "a\\tb", "at most 255", "config rm"),
    ("jobOverrides.suite.tags", MANY_TAGS, "jobDefaults.tags", "24 tags", "at most 22", "leave"),
    ("jobs.daily.access[0].level", "CAN_READ", "", '"CAN_READ"', "CAN_VIEW, CAN_MANAGE_RUN, CAN_MANAGE", "CAN_"),
    ("jobs.daily.access", OWNERS, "jobs.daily.access[1].level", "IS_OWNER", "one owner, and", "CAN_MANAGE"),
    ("jobs.daily.access", GROUP_OWNS, "jobs.daily.access[0].level", "IS_OWNER", "a user or a service", "CAN_MANAGE"),
    ("jobOverrides.daily.schedule", 5, "", "5", "a mapping", "cron"),
    ("jobOverrides.daily.tasks.nothing", None, "", "nothing to take away", "null takes away", "config rm"),
    ("jobOverrides.nightly", None, "", "nothing", "a mapping", "notebook:"),
    ("jobOverrides.dayly", {"timeoutMinutes": 5}, "", "a job that isn't there", "a whole one", "did you mean 'daily'"),
    ("jobDefaults.parameters", 5, "", "5", "a mapping of keys, as at jobs.daily.parameters", "config rm"),
    ("jobs.daily.tasks", [], "", "[] (a list)", "as at jobOverrides.daily.tasks", "config rm"),
    ("tests.folder", "nowhere", "", "no such folder", "an existing folder", "databricks-cicd:tests.folder"),
    ("tests", "suites", "", '"suites"', "a mapping", "folder: tests/release"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for tests that change nothing in it."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with a few notebooks."""
    return make_project(tmp_path)


def read(root: Path, **more: Any) -> Settings:
    return parse({**BASE, **more}, stack="test", environment=ENVIRONMENT, root=root)


def full(root: Path) -> Job:
    return parse(FULL, stack="test", environment=ENVIRONMENT, root=root).jobs["daily"]


def plain(path: str) -> str:
    return path.replace("[", ".").replace("]", "")


@pytest.mark.parametrize("wrong", WRONG, ids=[f"{path}={value!r:.30}" for path, value, *_ in WRONG])
def test_a_wrong_value_is_reported_where_it_was_written_with_rule_and_remedy(
    project: Path, wrong: tuple[str, Any, str, str, str, str]
) -> None:
    path, value, key, found, allowed, remedy = wrong
    parents = plain(path).split(".")[:-1]
    raw = copy.deepcopy(FULL)
    node: Any = raw
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    node[int(plain(path).split(".")[-1]) if isinstance(node, list) else plain(path).split(".")[-1]] = value
    with pytest.raises(SettingsError) as raised:
        parse(raw, stack="test", environment=ENVIRONMENT, root=project)
    reported = [problem for problem in raised.value.problems if problem.key == f"databricks-cicd:{key or path}"]
    assert len(reported) == 1, str(raised.value)
    assert found in reported[0].found
    assert allowed in reported[0].allowed
    assert remedy in reported[0].remedy


@pytest.mark.parametrize("key", ["Daily", "d" * 51, "a b", "a.b"])
def test_the_key_of_a_job_is_short_and_plain(project: Path, key: str) -> None:
    message = mistakes({**BASE, "jobs": {key: {"notebook": "report"}}}, project)
    assert f"the key {key!r}" in message
    assert "rename the job in Pulumi.test.yaml" in message


@pytest.mark.parametrize(("where", "key"), [("tasks", "a b"), ("clusters", "serverless"), ("parameters", "a b")])
def test_keys_of_tasks_clusters_and_parameters_are_those_that_the_service_takes(
    project: Path, where: str, key: str
) -> None:
    assert f"the key {key!r}" in mistakes(changed(f"jobs.daily.{where}.{key}", {}), project)


def test_more_tasks_than_the_service_takes_are_refused_and_as_many_are_not(project: Path) -> None:
    tasks = {f"task-{number}": {"notebook": "report"} for number in range(1001)}
    assert "1,001 tasks" in mistakes({**BASE, "jobs": {"many": {"tasks": tasks}}}, project)
    del tasks["task-0"]
    assert len(read(project, jobs={"many": {"tasks": tasks}}).jobs["many"].tasks) == 1000


@given(st.dictionaries(st.sampled_from("abcde"), st.sets(st.sampled_from("abcde")), min_size=1))
@hypothesis_settings(max_examples=100, deadline=None)
def test_tasks_are_taken_exactly_if_all_of_them_can_begin(root: Path, graph: dict[str, set[str]]) -> None:
    known = {key: sorted(after & graph.keys()) for key, after in graph.items()}
    done: set[str] = set()
    while ready := {key for key, after in known.items() if key not in done and set(after) <= done}:
        done |= ready
    tasks = {key: {"notebook": "report", "after": after} for key, after in known.items()}
    if done == set(known):
        assert list(read(root, jobs={"any": {"tasks": tasks}}).jobs["any"].tasks) == list(known)
    else:
        message = mistakes({**BASE, "jobs": {"any": {"tasks": tasks}}}, root)
        assert "a circle: " in message
        assert "have a mistake" in message


def test_every_setting_of_a_job_arrives(project: Path) -> None:
    job = full(project)
    assert job.description == "Everything, every day"
    assert job.parameters == {"catalog": "test", "city": "Vienna"}
    load = job.tasks["load"]
    assert (load.notebook, load.after, load.retries, load.min_retry_minutes) == ("load/trips", (), 2, 5)
    assert (load.retry_on_timeout, load.timeout_minutes, load.compute) == (True, 10, "big")
    assert load.parameters == {"day": "2024-05-01"}
    report = job.tasks["report"]
    assert (report.after, report.run_if, report.compute) == (("load",), "ALL_DONE", None)
    assert (report.retries, report.min_retry_minutes) == (1, 1)  # the job's
    assert job.clusters == {
        "big": Cluster(
            spark_version="16.4.x-scala2.12",
            node_type="Standard_D4ds_v5",
            workers=None,
            autoscale=Autoscale(least=1, most=4),
            policy="E05F30E06C006BBA",
            spark_conf={"spark.sql.shuffle.partitions": "auto"},
        )
    }
    assert job.schedule is not None
    assert job.schedule.paused
    assert (job.timeout_minutes, job.warn_after_minutes, job.max_concurrent_runs, job.queue) == (30, 20, 2, False)
    assert job.run_as == Principal(kind="service_principal", name=SERVICE_PRINCIPAL)
    assert job.notify == Notify(emails=("dana@example.com",), webhooks=(DESTINATION,))
    assert job.tags == {"cost": "4711", "team": "bikes"}


def test_a_job_of_one_notebook_needs_no_more_than_that(project: Path) -> None:
    job = read(project, jobs={"weekly": {"notebook": "report"}}).jobs["weekly"]
    assert list(job.tasks) == ["weekly"]
    assert job.tasks["weekly"].notebook == "report"
    assert (job.tasks["weekly"].retries, job.tasks["weekly"].timeout_minutes, job.tasks["weekly"].compute) == (
        0,
        None,
        None,
    )
    assert (job.timeout_minutes, job.max_concurrent_runs, job.queue, job.schedule) == (60, 1, True, None)
    assert job.notify == Notify(emails=(), webhooks=())


def test_a_stack_changes_adds_and_removes_tasks_of_a_job(project: Path) -> None:
    job = full(project)
    assert job.tasks["check"].notebook == "tests/functional"
    overrides = {"tasks": {"report": None, "load": {"retries": 0}}, "schedule": {"timeZone": "UTC"}}
    raw = changed("jobOverrides.daily", overrides)
    job = parse(raw, stack="test", environment=ENVIRONMENT, root=project).jobs["daily"]
    assert list(job.tasks) == ["load"]
    assert (job.tasks["load"].retries, job.tasks["load"].notebook) == (0, "load/trips")
    assert job.schedule is not None
    assert (job.schedule.cron, job.schedule.time_zone) == ("0 30 5 * * ?", "UTC")


def test_a_stack_takes_a_job_away_with_null(project: Path) -> None:
    settings = parse(changed("jobOverrides.daily", None), stack="test", environment=ENVIRONMENT, root=project)
    assert list(settings.jobs) == ["suite"]


def test_a_job_runs_as_one_alone_whoever_was_named_before(project: Path) -> None:
    raw = changed("jobOverrides.daily.runAs", {"user": "dana@example.com"})
    job = parse(raw, stack="test", environment=ENVIRONMENT, root=project).jobs["daily"]
    assert job.run_as == Principal(kind="user", name="dana@example.com")


@pytest.mark.parametrize(("default", "own", "paused"), [(True, None, True), (True, False, False), (False, True, True)])
def test_schedules_are_paused_by_the_default_unless_they_say_otherwise(
    project: Path, default: bool, own: bool | None, paused: bool
) -> None:
    schedule = {"cron": "0 30 5 * * ?", "timeZone": "UTC"} | ({} if own is None else {"paused": own})
    jobs = {"weekly": {"notebook": "report", "schedule": schedule}}
    read_schedule = read(project, jobs=jobs, jobDefaults={"paused": default}).jobs["weekly"].schedule
    assert read_schedule is not None
    assert read_schedule.paused is paused


def test_null_takes_a_default_away_from_one_job(project: Path) -> None:
    defaults = {"runAs": {"user": "dana@example.com"}, "notify": {"emails": ["dana@example.com"]}}
    jobs = {"one": {"notebook": "report", "runAs": None}, "other": {"notebook": "report"}}
    settings = read(project, jobs=jobs, jobDefaults=defaults, jobOverrides={"other": {"notify": None}})
    assert settings.jobs["one"].run_as is None
    assert settings.jobs["one"].notify.emails == ("dana@example.com",)
    assert settings.jobs["other"].run_as is not None
    assert settings.jobs["other"].notify.emails == ()


def test_a_mistake_in_the_defaults_is_told_once_for_all_jobs(project: Path) -> None:
    jobs = {"one": {"notebook": "report"}, "other": {"notebook": "report"}}
    message = mistakes({**BASE, "jobs": jobs, "jobDefaults": {"runAs": {"user": "dana"}}}, project)
    assert "have a mistake." in message
    assert message.count("databricks-cicd:jobDefaults.runAs.user\n") == 1


def test_scala_and_r_want_a_cluster(project: Path) -> None:
    (project / "notebooks" / "rides.scala").write_text("// Databricks notebook source\n")
    message = mistakes({**BASE, "jobs": {"weekly": SCALA}}, project)
    assert "serverless, for the notebook rides in SCALA" in message
    assert "declare a cluster at jobs.weekly.clusters" in message
    cluster = {"sparkVersion": "16.4.x-scala2.12", "nodeType": "x", "workers": 0}
    job = read(project, jobs={"weekly": {**SCALA, "clusters": {"one": cluster}, "compute": "one"}}).jobs["weekly"]
    assert job.tasks["weekly"].compute == "one"


def test_only_the_clusters_that_a_task_uses_are_declared(project: Path) -> None:
    cluster = {"sparkVersion": "16.4.x-scala2.12", "nodeType": "x", "workers": 0}
    jobs = {"one": {"notebook": "report", "compute": "small"}, "other": {"notebook": "report"}}
    settings = read(project, jobs=jobs, jobDefaults={"clusters": {"small": cluster, "big": cluster}})
    assert set(settings.jobs["one"].clusters) == {"small"}
    assert settings.jobs["other"].clusters == {}


def test_a_cluster_says_how_large_it_is(project: Path) -> None:
    message = mistakes(without("jobs.daily.clusters.big.autoscale"), project)
    assert "databricks-cicd:jobs.daily.clusters.big.workers\n" in message
    assert "or autoscale" in message


def test_a_job_isnt_blamed_for_notebooks_or_tests_that_cant_be_read(project: Path) -> None:
    for setting in ("notebooks.folder", "tests.folder"):
        message = mistakes(changed(setting, "nowhere"), project)
        assert "have a mistake." in message
        assert "jobs.daily" not in message


def test_production_gets_no_tests(project: Path) -> None:
    raw = changed("environment", "production", without("controlPlane", without("jobOverrides")))
    message = mistakes(raw, project, stack="prod")
    assert "production gets the release alone" in message
    assert "pulumi config rm --stack prod --path 'databricks-cicd:tests'" in message


@pytest.mark.parametrize("name", ["tests.py", "tests/unit.py"])
def test_notebooks_where_the_tests_are_delivered_are_refused(project: Path, name: str) -> None:
    path = project / "notebooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("# Databricks notebook source\n")
    message = mistakes(FULL, project)
    assert f"{name} in the folder of notebooks, where the tests are delivered" in message
    read(project, tests={})


def test_what_stands_in_the_project_file_is_changed_there(project: Path) -> None:
    """To set a part of a project-wide setting for the stack would replace all of it."""
    jobs = {"weekly": {"notebook": "report", "timeoutMinutes": 0, "colour": "red", "notfy": {}}}
    (project / "Pulumi.yaml").write_text(yaml.safe_dump({"config": {"jobs": {"type": "object", "default": jobs}}}))
    message = mistakes({**BASE, "jobs": jobs}, project)
    assert "have 3 mistakes" in message
    assert "write in Pulumi.yaml, for example:" in message
    assert "take jobs.weekly.colour out of Pulumi.yaml" in message
    assert "did you mean 'notify'? Rename the key in Pulumi.yaml" in message
    assert "pulumi config" not in message


def test_a_stack_with_nothing_but_the_projects_jobs_isnt_set_up(project: Path) -> None:
    jobs = {"weekly": {"notebook": "report"}}
    (project / "Pulumi.yaml").write_text(yaml.safe_dump({"config": {"jobs": {"type": "object", "default": jobs}}}))
    assert "isn't set up" in mistakes({"environment": "", "jobs": jobs}, project)
