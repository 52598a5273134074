"""The tasks: what they do with files, and what they say when they can't."""

import inspect
import io
import json
import re
import sys
import zipfile
from pathlib import Path

import pytest

from rehearsal.agent import patterns
from rehearsal.agent.messages import Definition
from rehearsal.agent.step_context import TaskFailedError
from rehearsal.agent.tasks.known import KNOWN
from rehearsal.agent.tasks.python_version import allows
from rehearsal.agent.tasks.running import TASKS

from .jobs import Bench, job_of, pipeline_run

_JUNIT = """<testsuites><testsuite name="unit" hostname="here">
<testcase classname="tests.test_a" name="test_good" time="0.25"/>
<testcase classname="tests.test_a" name="test_bad" time="1"><failure message="assert 1 == hunter22">trace
of it hunter22</failure></testcase>
<testcase classname="tests.test_a" name="test_odd"><error message="boom">boom</error></testcase>
<testcase classname="tests.test_a" name="test_later"><skipped message="not now"/></testcase>
</testsuite></testsuites>"""
_JUNIT_OF_SECRETS = f"""<testsuite name="hunter22" hostname="hunter22">
<testcase classname="hunter22" name="{"x" * 250}hunter22"><error message="hunter22">hunter22</error></testcase>
<testcase classname="hunter22" name="test_of[hunter22]"><skipped message="hunter22"/></testcase></testsuite>"""


def written(bench: Bench, **files: str) -> None:
    """Puts files where the job finds them: into `s` of the first pipeline."""
    bench.run("steps:\n- checkout: none\n")
    for name, text in files.items():
        path = bench.workspace / "s" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    bench.service.records.clear()


def task(name: str, **inputs: str) -> str:
    lines = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in inputs.items())
    return f"steps:\n- checkout: none\n- task: {name}\n  displayName: It\n  inputs:\n{lines}"


# -- artifacts


def test_an_artifact_is_what_was_in_the_folder_without_git_and_what_is_ignored(bench: Bench) -> None:
    written(bench, **{"out__a.txt": "A", "out__b__c.txt": "C", "out__.git__config": "x", "out__no.log": "x"})
    (bench.workspace / "s/out/.artifactignore").write_text("**/*.log\n.git/\n")
    assert bench.run("steps:\n- checkout: none\n- publish: out\n  artifact: made\n") == "Succeeded"
    with zipfile.ZipFile(io.BytesIO(bench.service.artifacts["made"])) as packed:
        assert {name: packed.read(name) for name in packed.namelist()} == {"a.txt": b"A", "b/c.txt": b"C"}


def test_the_same_artifact_cannot_be_published_twice(bench: Bench) -> None:
    written(bench, a="A")
    yaml = "steps:\n- checkout: none\n- publish: a\n  artifact: x\n- publish: a\n  artifact: x\n  displayName: Again"
    assert bench.run(yaml) == "Failed"
    assert "Artifact x already exists" in bench.service.named("Again")["issues"][0]["message"]


def test_an_artifact_of_nothing_is_refused(bench: Bench) -> None:
    assert bench.run("steps:\n- checkout: none\n- publish: nowhere\n  displayName: It\n") == "Failed"
    assert "Path does not exist" in bench.service.named("It")["issues"][0]["message"]


def test_downloads_go_where_azure_puts_them(bench: Bench) -> None:
    written(bench, **{"out__a.txt": "A", "out__b__c.txt": "C"})
    bench.run(
        "steps:\n- checkout: none\n- publish: out\n  artifact: made\n"
        "- bash: echo hi > ../b/x\n- publish: ../b\n  artifact: other\n"
    )
    request = job_of(
        "steps:\n- checkout: none\n- download: current\n  artifact: made\n  patterns: '**/*.txt\n\n    !a.txt'\n"
        "- download: build\n"
        "- task: DownloadPipelineArtifact@2\n  inputs: {artifact: made, path: $(Build.BinariesDirectory)/here}\n",
        pipelines={"build": pipeline_run(3)},
        definition=Definition(id=9, name="other", folder="\\"),
    )
    assert bench.run(request) == "Succeeded"
    workspace = bench.workspace.parent / "2"
    found = sorted(path.relative_to(workspace).as_posix() for path in workspace.rglob("*") if path.is_file())
    assert found == [
        "b/here/a.txt", "b/here/b/c.txt", "build/made/a.txt", "build/made/b/c.txt", "build/other/x", "made/b/c.txt",
    ]  # fmt: skip
    assert "build/builds/3/artifacts" in [path for _, path, _ in bench.service.rest]


def test_an_artifact_that_is_not_there_fails_the_download(bench: Bench) -> None:
    assert bench.run("steps:\n- checkout: none\n- download: current\n  artifact: none\n  displayName: It\n") == "Failed"
    assert "Artifact none was not found for build 7." in bench.service.named("It")["issues"][0]["message"]


def test_an_artifact_cannot_write_outside_of_its_folder(bench: Bench) -> None:
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as packed:
        packed.writestr("../../../escaped", "x")
    bench.service.artifacts["made"] = evil.getvalue()
    assert bench.run("steps:\n- checkout: none\n- download: current\n") == "Failed"
    assert not list(bench.folder.rglob("escaped"))


# -- test results and coverage


def test_junit_results_become_a_test_run_of_the_build_without_secrets(bench: Bench) -> None:
    written(bench, **{"results__TEST-unit.xml": _JUNIT})
    yaml = task("PublishTestResults@2", testResultsFiles="**/TEST-*.xml", testRunTitle="unit tests")
    assert bench.run(yaml, secrets={"password": "hunter22"}) == "Succeeded"
    created, results, completed = bench.service.rest
    assert created[:2] == ("POST", "test/runs")
    assert created[2]["name"] == "unit tests"
    assert created[2]["build"] == {"id": "7"}
    assert results[1] == "test/Runs/41/results"
    assert [(case["testCaseTitle"], case["outcome"]) for case in results[2]] == [
        ("test_good", "Passed"), ("test_bad", "Failed"), ("test_odd", "Failed"), ("test_later", "NotExecuted"),
    ]  # fmt: skip
    good, bad = results[2][:2]
    assert (good["durationInMs"], good["automatedTestName"]) == (250, "tests.test_a.test_good")
    assert (bad["errorMessage"], bad["stackTrace"]) == ("assert 1 == ***", "trace\nof it ***")
    assert completed == ("PATCH", "test/runs/41", {"state": "Completed"})


def test_no_part_of_published_results_shows_a_secret(bench: Bench) -> None:
    written(bench, **{"TEST-unit.xml": _JUNIT_OF_SECRETS})
    yaml = task(
        "PublishTestResults@2", testRunTitle="of $(password)", platform="$(password)", configuration="$(password)"
    )
    assert bench.run(yaml, secrets={"password": "hunter22"}) == "Succeeded"
    created, results, _ = bench.service.rest
    assert created[2]["name"] == "of ***"
    assert [case["testCaseTitle"] for case in results[2]] == [f"{'x' * 250}***", "test_of[***]"]
    assert "hunter" not in json.dumps(bench.service.rest)


def test_failed_tests_fail_the_step_only_if_it_says_so(bench: Bench) -> None:
    written(bench, **{"TEST-unit.xml": _JUNIT})
    assert bench.run(task("PublishTestResults@2", failTaskOnFailedTests="true")) == "Failed"
    assert "one or more test failures" in bench.service.named("It")["issues"][0]["message"]


@pytest.mark.parametrize(("fails", "result"), [("true", "Failed"), ("false", "Succeeded")])
def test_missing_results_are_a_warning_or_a_failure(bench: Bench, fails: str, result: str) -> None:
    assert bench.run(task("PublishTestResults@2", failTaskOnMissingResultsFile=fails)) == result
    assert "No test result files matching" in bench.service.named("It")["issues"][0]["message"]


def test_coverage_of_cobertura_is_attached_and_nothing_else_is(bench: Bench) -> None:
    written(bench, **{"coverage.xml": '<coverage line-rate="0.5"/>', "other.xml": "<report/>"})
    published = "PublishCodeCoverageResults@1"
    yaml = task(published, codeCoverageTool="Cobertura", summaryFileLocation="$(Build.SourcesDirectory)/coverage.xml")
    assert bench.run(yaml) == "Succeeded"
    assert bench.service.attachments == {("coverage", "coverage.xml"): b'<coverage line-rate="0.5"/>'}
    bench.service.records.clear()
    assert bench.run(task(published, codeCoverageTool="Cobertura", summaryFileLocation="other.xml")) == "Failed"
    assert "not Cobertura's" in bench.service.named("It")["issues"][0]["message"]


# -- scripts


def test_bash_runs_a_file_with_arguments(bench: Bench) -> None:
    written(bench, **{"tell.sh": 'echo "<$1><$2>"'})
    yaml = task("Bash@3", filePath="tell.sh", arguments="'one two' $(Build.BuildId)")
    assert bench.run(yaml) == "Succeeded"
    assert "\n<one two><7>\n" in bench.service.log("It")


def test_an_input_that_a_task_does_not_have_is_warned_of(bench: Bench) -> None:
    assert bench.run(task("CmdLine@2", script="echo", scirpt="typo")) == "Succeeded"
    assert "Unexpected input(s) scirpt" in bench.service.named("It")["issues"][0]["message"]


def test_what_a_variable_holds_is_refused_where_it_could_not_be_seen_before_the_run(bench: Bench) -> None:
    written(bench, **{"TEST-unit.xml": _JUNIT})
    yaml = "variables: {format: CTest}\n" + task("PublishTestResults@2", testResultsFormat="$(format)")
    assert bench.run(yaml) == "Failed"
    expected = "'CTest' as input testRunner is not supported in the rehearsal; it has: JUnit"
    assert bench.service.named("It")["issues"][0]["message"] == expected
    assert bench.service.rest == []


@pytest.mark.parametrize("name", KNOWN)
def test_each_input_that_a_task_takes_is_read_by_it(name: str) -> None:
    known = KNOWN[name]
    source = inspect.getsource(sys.modules[TASKS[name].__module__])
    read = set(re.findall(r"""inputs(?:\[|\.flag\(|\.choice\(|\.values\.get\()["'](\w+)["'][\])]""", source))
    taken = {each.name for each in known.inputs if each.name not in known.unsupported}
    # Of what has one value that is possible here there is nothing to read.
    assert taken - read == {each.name for each in known.inputs if len(each.supported) == 1}


def test_a_missing_input_fails_the_step(bench: Bench) -> None:
    assert bench.run(task("PublishCodeCoverageResults@1", codeCoverageTool="Cobertura")) == "Failed"
    assert bench.service.named("It")["issues"][0]["message"] == "Input required: summaryFileLocation"


# -- Python


def test_python_comes_first_on_the_path(bench: Bench) -> None:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    yaml = task("UsePythonVersion@0", versionSpec=version) + (
        "- bash: |\n    which python python3 pip; python -m venv --without-pip v; v/bin/python -c 'import json'\n"
        "    python -c 'import sys; print(\"is\", sys.version_info[:2])'\n    echo $(pythonLocation)\n"
        "  displayName: Show\n"
    )
    assert bench.run(yaml) == "Succeeded"
    log = bench.service.log("Show")
    assert f"is {sys.version_info[:2]}" in log
    folder = bench.folder / "tools" / "Python"
    assert f"\n{folder}" in log
    assert "/bin/pip\n" in log


def test_another_python_of_the_machine_is_found_on_the_path(bench: Bench) -> None:
    elsewhere = bench.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "python3.99").write_text(
        '#!/bin/sh\ncase "$1" in -I) echo \'[[3, 99, 1], "final", "\'$0\'", true]\';; *) echo other;; esac\n'
    )
    (elsewhere / "python3.99").chmod(0o755)
    bench.environment["PATH"] = f"{elsewhere}:{bench.environment['PATH']}"
    yaml = task("UsePythonVersion@0", versionSpec="3.99") + "- bash: python\n  displayName: Show\n"
    assert bench.run(yaml) == "Succeeded"
    assert "\nother\n" in bench.service.log("Show")


def test_a_python_that_is_not_there_is_a_clear_failure(bench: Bench) -> None:
    assert bench.run(task("UsePythonVersion@0", versionSpec="2.7")) == "Failed"
    message = bench.service.named("It")["issues"][0]["message"]
    assert "Version spec 2.7" in message
    assert ".".join(map(str, sys.version_info[:3])) in message


@pytest.mark.parametrize(
    ("spec", "version", "allowed"),
    [
        ("3.11", (3, 11, 7), True), ("3.1", (3, 11, 7), False), ("3.x", (3, 11, 7), True),
        ("3.11.x", (3, 12, 0), False),
        ("3.11.7", (3, 11, 7), True), ("3.11.8", (3, 11, 7), False), (">=3.10 <3.12", (3, 11, 7), True),
        (">= 3.12", (3, 11, 7), False), ("*", (3, 11, 7), True), ("2.7 || 3.11", (3, 11, 7), True),
        ("^3.9", (3, 11, 7), True), ("~3.11.2", (3, 11, 7), True), ("~3.11.9", (3, 11, 7), False),
    ],
)  # fmt: skip
def test_version_specs(spec: str, version: tuple[int, int, int], allowed: bool) -> None:
    assert allows(spec, version) is allowed


def test_a_version_spec_that_is_not_understood_is_a_failure() -> None:
    with pytest.raises(TaskFailedError, match="pypy"):
        allows("pypy3.9", (3, 11, 7))


# -- patterns


def test_patterns_choose_as_the_task_library_does(tmp_path: Path) -> None:
    for name in ("a.xml", "sub/b.xml", "sub/deep/c.xml", "sub/d.txt", ".git/e.xml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def found(text: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in patterns.find(text, tmp_path)]

    assert found("**/*.xml") == ["a.xml", "sub/b.xml", "sub/deep/c.xml"]
    assert found("*.xml") == ["a.xml"]
    assert found("**/*.xml\n!sub/**") == ["a.xml"]
    assert found("sub/?.txt") == ["sub/d.txt"]
    assert found("# no\n\nsub/[ab].xml") == ["sub/b.xml"]
    assert found(f"{tmp_path}/sub/**") == ["sub/b.xml", "sub/d.txt", "sub/deep/c.xml"]
    assert found("nothing/**") == []
