"""Logging commands of steps: https://learn.microsoft.com/azure/devops/pipelines/scripts/logging-commands."""

import json
from typing import Any

import pytest

from rehearsal.agent.commands import parse

from .jobs import Bench


def said(bench: Bench, *lines: str, then: str = "", name: str = "say") -> Any:
    """Runs a step that writes these lines, and one after it; gives the result of the job."""
    script = "\n".join(f"            cat <<'END'\n            {line}\n            END" for line in lines)
    yaml = f"""
    jobs:
      - job: A
        steps:
        - checkout: none
        - bash: |
{script}
          name: {name}
          displayName: Say
        - bash: |
            {then or "true"}
          displayName: Then
    """
    return bench.run(yaml)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "##vso[task.setvariable variable=a;isSecret=true]b",
            ("task", "setvariable", {"variable": "a", "issecret": "true"}, "b"),
        ),
        ("text before ##vso[Task.Debug]x]y", ("task", "debug", {}, "x]y")),
        (
            "##vso[task.logissue type=error;code=1%3B2]a%0Ab%25%AZP2541",
            ("task", "logissue", {"type": "error", "code": "1;2"}, "a\nb%25%41"),
        ),
        ("##vso[task.complete result=Failed;]", ("task", "complete", {"result": "Failed"}, "")),
        ("##vso[task.setvariable variable=a=b]c", ("task", "setvariable", {"variable": "a=b"}, "c")),
    ],
)  # fmt: skip
def test_a_command_is_read_as_the_agent_reads_it(line: str, expected: tuple[Any, ...]) -> None:
    command = parse(line)
    assert command is not None
    assert (command.area, command.event, command.properties, command.data) == expected


@pytest.mark.parametrize(
    "line", ["##vso[task.debug", "##vso[task]x", "##vso[a.b.c]", "##vso", "## vso[task.debug]", ""]
)
def test_what_is_no_command_stays_output(line: str) -> None:
    assert parse(line) is None


def test_an_output_variable_goes_to_later_jobs_and_is_read_by_the_name_of_its_step(bench: Bench) -> None:
    command = "##vso[task.setvariable variable=version;isOutput=true]1.2"
    assert said(bench, command, then="echo $SAY_VERSION-$(say.version)-$(version)") == "Succeeded"
    assert bench.outputs == {"say.version": "1.2"}
    assert "\n1.2-1.2-" in bench.service.log("Then")


def test_a_secret_output_is_carried_as_one_and_hidden_from_then_on(bench: Bench) -> None:
    command = "##vso[task.setvariable variable=key;isOutput=true;isSecret=true]opensesame"
    assert said(bench, command, then='echo "[$SAY_KEY]" $(say.key)') == "Succeeded"
    assert bench.outputs == {"say.key": {"value": "opensesame", "secret": True}}
    assert "\n[] ***\n" in bench.service.log("Then")
    assert "opensesame" not in bench.service.log("Say") + bench.service.log("Then")


def test_a_read_only_variable_cannot_be_set_again(bench: Bench) -> None:
    lines = ("##vso[task.setvariable variable=a;isReadOnly=true]1", "##vso[task.setvariable variable=a]2")
    assert said(bench, *lines) == "Failed"
    messages = [issue["message"] for issue in bench.service.named("Say")["issues"]]
    assert any("Overwriting readonly variable 'a' is not permitted." in message for message in messages)


def test_the_services_own_variables_cannot_be_set(bench: Bench) -> None:
    assert said(bench, "##vso[task.setvariable variable=Build.SourceBranch]refs/heads/evil") == "Failed"


def test_a_secret_of_several_lines_is_refused_and_hidden_all_the_same(bench: Bench) -> None:
    line = "##vso[task.setvariable variable=a;isSecret=true]opensesame%0Asecondword"
    assert said(bench, line, then="echo opensesame secondword") == "Failed"
    assert "opensesame" not in bench.service.log("Say").partition("Starting Command Output")[2]
    assert "Secrets cannot contain multiple lines" in bench.service.log("Say")


def test_set_secret_hides_a_value(bench: Bench) -> None:
    said(bench, "##vso[task.setsecret]opensesame", then="printf '%s%s' opense same")
    assert "***" in bench.service.log("Then")
    assert "opensesame" not in bench.service.log("Then")


def test_issues_are_kept_with_the_step_and_do_not_fail_it(bench: Bench) -> None:
    lines = (
        "##vso[task.logissue type=warning]careful",
        "##vso[task.logissue type=error;sourcepath=a.py;linenumber=3;columnnumber=5;code=E1]wrong",
    )
    assert said(bench, *lines) == "Succeeded"
    record = bench.service.named("Say")
    assert [(issue["type"], issue["message"]) for issue in record["issues"]] == [
        ("warning", "careful"),
        ("error", "a.py(3,5): error E1: wrong"),
    ]
    assert (record["errorCount"], record["warningCount"]) == (1, 1)
    assert "##[warning]careful" in bench.service.log("Say")


def test_no_part_of_an_issue_shows_a_secret(bench: Bench) -> None:
    said(
        bench,
        "##vso[task.setsecret]hunter22",
        "##vso[task.logissue type=error;sourcepath=hunter22.py;linenumber=3;code=hunter22;url=http://hunter22]hunter22",
    )
    (issue,) = bench.service.named("Say")["issues"]
    assert issue["message"] == "***.py(3): error ***: ***"
    assert issue["data"] == {"sourcepath": "***.py", "linenumber": "3", "code": "***", "url": "http://***"}
    assert "hunter22" not in json.dumps(bench.service.records)


@pytest.mark.parametrize(
    ("result", "expected"),
    [("Failed", "Failed"), ("SucceededWithIssues", "SucceededWithIssues"), ("Succeeded", "Succeeded")],
)
def test_complete_says_the_result_of_a_step_that_goes_on(bench: Bench, result: str, expected: str) -> None:
    assert said(bench, f"##vso[task.complete result={result};]done", "still here") == expected
    assert "\nstill here\n" in bench.service.log("Say")


def test_complete_does_not_make_a_failure_good(bench: Bench) -> None:
    yaml = """
    steps:
    - checkout: none
    - bash: echo "##vso[task.complete result=Succeeded]"; exit 1
    """
    assert bench.run(yaml) == "Failed"


def test_prepended_paths_come_first_for_the_steps_after(bench: Bench) -> None:
    assert said(bench, "##vso[task.prependpath]/one", "##vso[task.prependpath]/two", then='echo "$PATH"') == "Succeeded"
    assert "\n/two:/one:" in bench.service.log("Then")


def test_progress_stands_in_the_record(bench: Bench) -> None:
    said(bench, "##vso[task.setprogress value=40]almost")
    record = bench.service.named("Say")
    assert (record["percentComplete"], record["currentOperation"]) == (40, "almost")


def test_a_summary_and_attachments_go_to_the_run_without_secrets(bench: Bench) -> None:
    yaml = """
    steps:
    - checkout: none
    - bash: |
        echo '# All well, $(password)' > summary.md
        echo data > data.bin
        echo "##vso[task.uploadsummary]$PWD/summary.md"
        echo "##vso[task.addattachment type=mine;name=it]$PWD/data.bin"
    """
    assert bench.run(yaml, secrets={"password": "hunter22"}) == "Succeeded"
    assert bench.service.attachments == {
        ("summary", "summary.md"): b"# All well, ***\n",
        ("mine", "it"): b"data\n",
    }


def test_an_attachment_that_is_not_there_fails_the_step(bench: Bench) -> None:
    assert said(bench, "##vso[task.uploadsummary]/nowhere.md") == "Failed"
    assert "file does not exist on disk" in bench.service.log("Say")


def test_the_number_of_the_run_and_tags_are_changed_with_the_rights_of_the_job(bench: Bench) -> None:
    lines = ("##vso[build.updatebuildnumber]release-7", "##vso[build.addbuildtag]good one")
    assert said(bench, *lines, then="echo $(Build.BuildNumber)") == "Succeeded"
    assert bench.service.rest == [
        ("PATCH", "build/builds/7", {"buildNumber": "release-7"}),
        ("PUT", "build/builds/7/tags/good one", None),
    ]
    assert "\nrelease-7\n" in bench.service.log("Then")


def test_a_command_that_nobody_knows_is_warned_of_or_fails_as_with_azures_agent(bench: Bench) -> None:
    lines = ("##vso[nobody.knows]x", "##vso[task.logdetail id=1]x", "a ##vso word")
    assert said(bench, *lines) == "Succeeded"
    messages = [issue["message"] for issue in bench.service.named("Say")["issues"]]
    assert "Cannot find command extension for ##vso[nobody.command]" in messages[0]
    assert "task.logdetail" in messages[1]
    assert "not a legal command" in messages[2]
    bench.service.records.clear()
    assert said(bench, "##vso[task.unheardof]x") == "Failed"


def test_formatting_commands_stay_in_the_log(bench: Bench) -> None:
    assert said(bench, "##[group]Many", "##[endgroup]", "##[warning]not an issue") == "Succeeded"
    assert "\n##[group]Many\n##[endgroup]\n##[warning]not an issue\n" in bench.service.log("Say")
    assert not bench.service.named("Say")["issues"]


def test_debug_lines_are_shown_only_if_asked_for(bench: Bench) -> None:
    said(bench, "##vso[task.debug]details")
    assert "details" not in bench.service.log("Say").partition("Starting Command Output")[2]
    bench.service.records.clear()
    bench.run(
        "variables: {system.debug: 'true'}\nsteps:\n- checkout: none\n- bash: echo '##vso[task.debug]details'\n"
        "  displayName: Loud"
    )
    assert "##[debug]details" in bench.service.log("Loud")
