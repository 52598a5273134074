"""The language of Azure Pipelines YAML: files become the plan of a run, and expressions their values.

| module | what is in it |
|---|---|
| `compiler` | `compile_pipeline`: from files to a plan |
| `plan` | the plan: `Pipeline`, `Stage`, `Job`, `Step` and their parts |
| `conditions` | `evaluate` a condition, `evaluate_value` of `$[ ]`, while a run goes on |
| `outcomes` | what later stages and jobs see of earlier ones |
| `runtime` | variables of a running job: macros, environment, secrets |
| `run_number` | the name of a run |
| `errors` | `PipelineError` with a place in a file, `ExpressionError` |

The rest is how it is done: `nodes` (YAML with positions), `values`, `syntax`, `functions`, `expressions`, `expansion`
(`${{ }}`), `parameters`, `sources` and `templates`, `reading` (which keys are understood), `fields`, and the readers of
each part of a pipeline: `variables`, `steps`, `jobs`, `triggers`, `graph`.
"""
