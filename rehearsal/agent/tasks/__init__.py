"""The tasks of pipelines: which there are (`KNOWN`, `check`), and how each is carried out."""

from rehearsal.agent.tasks.known import KNOWN, Input, Task, check, find

__all__ = ["KNOWN", "Input", "Task", "check", "find"]
