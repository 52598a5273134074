"""Steps of a job: their processes, variables, conditions and results."""

import json
from pathlib import Path

import psutil

from rehearsal.agent.language.errors import Position
from rehearsal.agent.language.plan import Variable
from rehearsal.agent.messages import Definition
from rehearsal.agent.processes import MARK

from .jobs import JOB_TOKEN, Bench


def steps(text: str) -> str:
    """A pipeline of these steps, without a checkout."""
    indented = "\n".join(f"      {line}" for line in text.splitlines())
    return f"jobs:\n  - job: A\n    steps:\n      - checkout: none\n{indented}\n"


def test_a_job_tells_each_step_with_its_log_and_result(bench: Bench) -> None:
    assert bench.run(steps("- script: echo hello\n  displayName: Greet")) == "Succeeded"
    record = bench.service.named("Greet")
    assert (record["state"], record["result"], record["type"]) == ("completed", "succeeded", "Task")
    assert record["startTime"] <= record["finishTime"]
    log = bench.service.log("Greet")
    assert log.startswith("##[section]Starting: Greet")
    assert "\nhello\n" in log
    assert log.endswith("##[section]Finishing: Greet")
    order = [each["name"] for each in sorted(bench.service.records.values(), key=lambda each: each["order"])]
    assert order == ["Initialize job", "Greet", "Finalize Job"]


def test_a_step_without_a_name_is_called_by_its_task(bench: Bench) -> None:
    bench.run(steps("- script: 'true'\n- bash: 'true'"))
    assert bench.service.named("CmdLine")["result"] == bench.service.named("Bash")["result"] == "succeeded"


def test_a_failed_step_fails_the_job_and_skips_the_rest_but_what_runs_always(bench: Bench) -> None:
    yaml = steps(
        "- script: exit 3\n  displayName: Fails\n"
        "- script: echo no\n  displayName: Skipped\n"
        "- script: echo $AGENT_JOBSTATUS\n  displayName: Always\n  condition: always()\n"
        "- script: echo yes\n  displayName: On failure\n  condition: failed()"
    )
    assert bench.run(yaml) == "Failed"
    results = {name: bench.service.named(name)["result"] for name in ("Fails", "Skipped", "Always", "On failure")}
    assert results == {"Fails": "failed", "Skipped": "skipped", "Always": "succeeded", "On failure": "succeeded"}
    assert bench.service.named("Fails")["issues"][0]["message"] == "Bash exited with code '3'."
    assert "\nFailed\n" in bench.service.log("Always")
    assert "Skipping step due to condition evaluation." in bench.service.log("Skipped")


def test_continue_on_error_makes_a_failure_an_issue(bench: Bench) -> None:
    yaml = steps(
        "- script: exit 1\n  continueOnError: true\n  displayName: Fails\n- script: echo on\n  displayName: Next"
    )
    assert bench.run(yaml) == "SucceededWithIssues"
    assert bench.service.named("Fails")["result"] == "succeededWithIssues"
    assert bench.service.named("Next")["result"] == "succeeded"


def test_a_step_that_is_switched_off_is_as_if_it_were_not_there(bench: Bench) -> None:
    assert bench.run(steps("- script: exit 1\n  enabled: false\n  displayName: Off")) == "Succeeded"
    assert "Off" not in {record["name"] for record in bench.service.records.values()}


def test_a_condition_that_cannot_be_evaluated_fails_the_step(bench: Bench) -> None:
    assert bench.run(steps("- script: echo\n  displayName: Odd\n  condition: gt(1, 'x')")) == "Failed"
    assert bench.service.named("Odd")["result"] == "failed"
    assert bench.service.named("Odd")["issues"]


def test_steps_have_the_environment_that_azure_sets(bench: Bench) -> None:
    bench.environment |= {"FROM_THE_MACHINE": "yes", "MY_DEAR": "outer"}
    yaml = "variables:\n  my.dear: pipeline's\n" + steps(
        "- bash: python3 -c 'import json, os; print(json.dumps(dict(os.environ)))' > env.json; pwd\n"
        "  displayName: Show\n  env:\n    GIVEN: $(Build.BuildId)-$(nothing)"
    )
    assert bench.run(yaml) == "Succeeded"
    environment = json.loads((bench.workspace / "s" / "env.json").read_text())
    workspace = str(bench.workspace)
    expected = {
        "TF_BUILD": "True",
        "BUILD_BUILDID": "7",
        "BUILD_SOURCEBRANCH": "refs/heads/main",
        "BUILD_SOURCESDIRECTORY": f"{workspace}/s",
        "BUILD_ARTIFACTSTAGINGDIRECTORY": f"{workspace}/a",
        "BUILD_BINARIESDIRECTORY": f"{workspace}/b",
        "COMMON_TESTRESULTSDIRECTORY": f"{workspace}/TestResults",
        "PIPELINE_WORKSPACE": workspace,
        "SYSTEM_DEFAULTWORKINGDIRECTORY": f"{workspace}/s",
        "AGENT_TEMPDIRECTORY": f"{bench.workspace.parent}/_temp",
        "AGENT_TOOLSDIRECTORY": str(bench.folder / "tools"),
        "AGENT_JOBSTATUS": "Succeeded",
        "AGENT_NAME": "rehearsal-1",
        "SYSTEM_TASKDISPLAYNAME": "Show",
        "MY_DEAR": "pipeline's",
        "GIVEN": "7-$(nothing)",
        "FROM_THE_MACHINE": "yes",
    }
    assert {name: environment.get(name) for name in expected} == expected
    assert "SYSTEM_ACCESSTOKEN" not in environment
    assert JOB_TOKEN not in environment.values()
    assert f"\n{workspace}/s\n" in bench.service.log("Show")


def test_a_secret_reaches_only_the_step_that_maps_it_and_no_log(bench: Bench) -> None:
    yaml = "variables:\n  - name: copy\n    value: $(password)\n" + steps(
        "- bash: '[ -z \"$PASSWORD$COPY$SYSTEM_ACCESSTOKEN\" ]'\n  displayName: Unmapped\n"
        '- bash: |\n    echo $MINE; echo "say $TOKEN loud"; [ $MINE = hunter22 ]\n'
        "  displayName: Mapped\n  env:\n    MINE: $(password)\n    TOKEN: $(System.AccessToken)\n"
        '- script: echo "$(copy)"\n  displayName: Copied $(password)'
    )
    assert bench.run(yaml, secrets={"password": "hunter22"}) == "Succeeded"
    assert "\n***\nsay *** loud\n" in bench.service.log("Mapped")
    assert bench.service.named("Copied ***")["result"] == "succeeded"
    everything = bench.service.everything()
    assert "hunter22" not in everything
    assert JOB_TOKEN not in everything


def test_each_line_of_a_secret_of_several_lines_is_hidden(bench: Bench) -> None:
    key = "-----BEGIN-----\nfirstlineofkey\nsecondlineofkey\n-----END-----"
    yaml = steps(
        '- bash: |\n    echo "$KEY"; echo "got firstlineofkey"; python3 -c "print(repr(\'$KEY\'))"\n'
        "  env:\n    KEY: $(key)"
    )
    bench.run(yaml, secrets={"key": key})
    everything = bench.service.everything()
    assert "lineofkey" not in everything
    assert "got ***" in everything


def test_a_variable_set_by_a_step_is_there_in_the_next_one_only(bench: Bench) -> None:
    yaml = steps(
        '- bash: |\n    echo "##vso[task.setvariable variable=color]blue"; echo "now:$COLOR"\n  displayName: Set\n'
        "- bash: echo env:$COLOR macro:$(color)\n  displayName: Read\n"
        "- bash: echo conditional\n  condition: eq(variables.color, 'blue')\n  displayName: Conditional"
    )
    assert bench.run(yaml) == "Succeeded"
    assert "\nnow:\n" in bench.service.log("Set")
    assert "\nenv:blue macro:blue\n" in bench.service.log("Read")
    assert bench.service.named("Conditional")["result"] == "succeeded"
    assert "task.setvariable" not in bench.service.log("Set").partition("Starting Command Output")[2]


def test_the_processes_of_a_step_end_with_it(bench: Bench) -> None:
    yaml = steps("- bash: |\n    setsid nohup sleep 321 > /dev/null 2>&1 &\n    echo pid=$!\n  displayName: Leaves")
    assert bench.run(yaml) == "Succeeded"
    log = bench.service.log("Leaves")
    assert "Terminate orphan process" in log
    assert not _sleeping("321")


def _sleeping(seconds: str) -> bool:
    for process in psutil.process_iter():
        try:
            if process.cmdline() == ["sleep", seconds] and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except psutil.Error:
            continue
    return False


def test_a_step_that_takes_too_long_is_ended_with_all_its_processes_and_fails(bench: Bench) -> None:
    yaml = steps(
        "- bash: |\n    trap '' INT TERM\n    (trap '' INT TERM; sleep 322) &\n    sleep 322\n"
        "  timeoutInMinutes: 1\n  displayName: Slow"
    )
    assert bench.run(yaml) == "Failed"
    assert bench.service.named("Slow")["issues"][0]["message"] == "The task has timed out."
    assert not _sleeping("322")


def test_a_failed_step_is_tried_again_as_often_as_it_says(bench: Bench) -> None:
    counting = (
        "- bash: |\n    echo x >> tries; [ $(wc -l < tries) -ge 3 ]\n"
        "  retryCountOnTaskFailure: {}\n  displayName: Tries"
    )
    assert bench.run(steps(counting.format(2))) == "Succeeded"
    assert (bench.workspace / "s" / "tries").read_text() == "x\n" * 3
    record = bench.service.named("Tries")
    assert [issue["type"] for issue in record["issues"]].count("warning") == 2
    (bench.workspace / "s" / "tries").unlink()
    bench.service.records.clear()
    assert bench.run(steps(counting.format(1))) == "Failed"


def test_a_process_ends_at_a_polite_signal_when_the_job_is_cancelled(bench: Bench) -> None:
    yaml = steps(
        "- bash: |\n    trap 'echo interrupted > told; exit 1' INT\n    echo up\n    sleep 60 & wait\n"
        "  displayName: Long\n"
        "- script: echo never\n  displayName: Next\n"
        "- script: echo last\n  condition: always()\n  displayName: Always"
    )
    job = bench.begin(yaml)
    bench.service.wait_for(lambda: any("\nup\n" in f"\n{_lines(text)}" for text in bench.service.logs.values()))
    bench.service.cancel.add("4d1bdfb6-0000-4000-8000-000000000001")
    job.join()
    [finished] = bench.service.finished.values()
    assert finished["result"] == "Canceled"
    assert (bench.workspace / "s" / "told").read_text() == "interrupted\n"
    results = {name: bench.service.named(name)["result"] for name in ("Long", "Next", "Always")}
    assert results == {"Long": "canceled", "Next": "skipped", "Always": "succeeded"}


def _lines(text: str) -> str:
    return "\n".join(line.partition(" ")[2] for line in text.splitlines()) + "\n"


def test_a_job_that_takes_too_long_is_cancelled_and_says_so(bench: Bench) -> None:
    yaml = steps(
        "- script: sleep 60\n  displayName: Long\n- script: sleep 60\n  condition: always()\n  displayName: Clean"
    )
    result = bench.run(yaml, timeout_minutes=1, cancel_timeout_minutes=1)
    assert result == "Canceled"
    assert "ran longer than the maximum time of 1 minutes" in bench.service.log("Long")
    assert bench.service.named("Clean")["result"] == "canceled"


def test_a_job_that_the_service_has_given_up_is_ended_without_a_word(bench: Bench) -> None:
    job = bench.begin(steps("- script: sleep 60\n  displayName: Long"))
    bench.service.wait_for(lambda: any(record["state"] == "inProgress" for record in bench.service.records.values()))
    bench.service.forgotten.add("4d1bdfb6-0000-4000-8000-000000000001")
    job.join(20)
    assert not job.is_alive()
    assert not bench.service.finished
    assert not _sleeping("60")


def test_standard_error_fails_a_step_only_if_it_says_so(bench: Bench) -> None:
    noisy = "- script: echo problem >&2\n  failOnStderr: {}\n  displayName: Noisy"
    assert bench.run(steps(noisy.format("false"))) == "Succeeded"
    bench.service.records.clear()
    assert bench.run(steps(noisy.format("true"))) == "Failed"
    assert "##[error]problem" in bench.service.log("Noisy")


def test_steps_run_where_they_say_or_say_that_there_is_no_such_folder(bench: Bench) -> None:
    yaml = steps(
        "- script: mkdir -p sub\n- script: pwd\n  workingDirectory: sub\n  displayName: Below\n"
        "- script: pwd\n  workingDirectory: nowhere\n  displayName: Nowhere"
    )
    assert bench.run(yaml) == "Failed"
    assert f"\n{bench.workspace}/s/sub\n" in bench.service.log("Below")
    assert "nowhere" in bench.service.named("Nowhere")["issues"][0]["message"]


def test_the_folders_of_a_pipeline_are_kept_and_what_is_for_one_run_is_emptied(bench: Bench) -> None:
    leave = steps("- bash: touch kept ../a/staged ../b/binary ../TestResults/result")
    bench.run(leave)
    bench.run(steps("- bash: echo"))
    left = sorted(path.relative_to(bench.workspace).as_posix() for path in bench.workspace.rglob("*") if path.is_file())
    assert left == ["b/binary", "s/kept"]
    bench.run(steps("- bash: echo").replace("job: A", "job: A\n    workspace:\n      clean: all"))
    assert not [path for path in bench.workspace.rglob("*") if path.is_file()]


def test_each_pipeline_has_a_folder_of_its_own(bench: Bench) -> None:
    bench.run(steps("- bash: pwd\n  displayName: One"))
    bench.run(steps("- bash: pwd\n  displayName: Two"), definition=Definition(id=4, name="release", folder="\\"))
    bench.run(steps("- bash: pwd\n  displayName: Three"))
    work = bench.workspace.parent
    folders = {name: Path(bench.service.log(name).splitlines()[-2]) for name in ("One", "Two", "Three")}
    assert folders == {"One": work / "1/s", "Two": work / "2/s", "Three": work / "1/s"}


def test_the_mark_of_an_agent_around_this_one_is_kept(bench: Bench) -> None:
    bench.environment[MARK] = "vsts_outer"
    bench.run(steps(f"- bash: echo ${MARK}\n  displayName: Show"))
    assert f"vsts_outer|{bench.mark}/" in bench.service.log("Show")


def test_hooks_of_a_deployment_run_in_order_and_on_success_or_failure_after_them(bench: Bench) -> None:
    yaml = """
        jobs:
          - deployment: D
            environment: test
            strategy:
              runOnce:
                preDeploy:
                  steps:
                    - bash: |
                        echo "##vso[task.setvariable variable=seen]yes"
                      displayName: Before
                deploy:
                  steps:
                    - download: none
                    - bash: |
                        echo "seen:$SEEN"; echo "##vso[task.setvariable variable=v;isoutput=true]1"; exit $(code)
                      name: set
                      displayName: Deploy
                on:
                  failure:
                    steps: [{bash: echo f, displayName: Failure}]
                  success:
                    steps: [{bash: echo s, displayName: Success}]
        """

    def code(value: str) -> tuple[Variable, ...]:
        return (Variable(name="code", value=value, position=Position("p.yml", 1, 1)),)

    assert bench.run(yaml, variables=code("0")) == "Succeeded"
    names = {record["name"] for record in bench.service.records.values()}
    assert "Success" in names
    assert "Failure" not in names
    assert bench.outputs == {"D.set.v": "1"}
    assert "\nseen:\n" in bench.service.log("Deploy")
    bench.service.records.clear()
    assert bench.run(yaml, variables=code("1")) == "Failed"
    assert "Success" not in {record["name"] for record in bench.service.records.values()}
    assert bench.service.named("Failure")["result"] == "succeeded"


def test_a_hook_that_fails_keeps_the_later_ones_from_running(bench: Bench) -> None:
    yaml = """
        jobs:
          - deployment: D
            environment: test
            strategy:
              runOnce:
                preDeploy: {steps: [{bash: exit 1, displayName: Before}]}
                deploy: {steps: [{download: none}, {bash: echo, displayName: Deploy}]}
                on:
                  failure: {steps: [{bash: echo f, displayName: Failure}]}
        """
    assert bench.run(yaml) == "Failed"
    assert bench.service.named("Failure")["result"] == "succeeded"
    assert bench.service.named("Deploy")["result"] == "skipped"
