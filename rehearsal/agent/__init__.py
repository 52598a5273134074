"""The rehearsal's agent: what Azure Pipelines does with a pipeline's YAML.

`python -m rehearsal.agent` runs it. One job goes through these modules:

| module | what is in it |
|---|---|
| `language` | from the files of a repository to the plan of a run; conditions; variables |
| `messages` | a job as the service hands it out |
| `listener`, `client` | asks for jobs; talks to the service |
| `job`, `job_variables`, `directories` | a job from its first step to its last, its variables and folders |
| `steps`, `step_context` | one step: condition, attempts, result; its log and processes |
| `processes` | starts processes of steps and ends them whole |
| `commands`, `logging_commands` | `##vso[...]`: how it is read, and what it does |
| `feed`, `masking` | records and logs on their way to the service, without secrets |
| `tasks` | the tasks: which there are, and how each is carried out |
| `artifacts`, `patterns` | artifacts, and the patterns that choose files |
"""
