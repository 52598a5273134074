"""Runs one notebook as Databricks does, in a process of its own: `python -m rehearsal.compute.notebook TASK_DIR`.

What goes in and out stands in `task`; formats and magics in `source`; `dbutils` in the package of that name. What the
runner doesn't know it refuses by name, most of it before the first cell runs. docs.databricks.com/notebooks.
"""
