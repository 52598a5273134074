"""What people have put where a release would overwrite it, or would get stuck half-way: refused before any change.

The provider imports a new notebook over whatever stands at its path, and a folder that isn't empty can't be deleted.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from delivery.console import Mistake, RefusedError
from delivery.plan import Plan, Step, area
from delivery.workspace import FOLDER, Found, Workspace
from delivery.workspace_objects import Object

_DIRECTORY = "databricks:index/directory:Directory"
_KINDS = {_DIRECTORY: "folder", "databricks:index/workspaceFile:WorkspaceFile": "file"}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What stands in a folder before a deployment.

    `there` has its folders, too. `recorded` has path and kind of what those releases have that are recorded as deployed
    and as under way: a deployment that was cut off leaves files that the stack doesn't know of.
    """

    workspace: Workspace
    there: Mapping[str, Found]
    recorded: Collection[tuple[str, str]]

    def refuse_strays(self, plan: Plan, objects: Sequence[Object]) -> None:
        """Refuses a plan that would overwrite, or get stuck at, what isn't of a release.

        Args:
            plan: of `pulumi preview`.
            objects: the release. What has its very content is no stray.

        Raises:
            RefusedError: every stray that is in the way, and what to do with it.
            UnusableError: Databricks can't be asked.
        """
        wanted = {each.path: each for each in objects}
        steps = [step for step in plan.changes if area(step) == "notebooks"]
        gone = {self._path(step.old) for step in steps if step.operation == "delete"}
        mistakes = []
        for step in steps:
            path = self._path(step.new)
            found = self.there.get(path) if step.operation == "create" else None
            if found and path not in gone and not self._is_ours(found, step, wanted.get(path)):
                kind = _KINDS.get(step.type, "notebook")
                mistakes.append(self._mistake(path, f"it isn't of a release, which has a {kind} there"))
        for path in dict.fromkeys(self._left_inside(steps, gone)):
            mistakes.append(self._mistake(path, "it isn't of a release, and stands in a folder that this one removes"))
        if mistakes:
            raise RefusedError(mistakes)

    def _is_ours(self, found: Found, step: Step, wanted: Object | None) -> bool:
        if found.kind == FOLDER:
            return step.type == _DIRECTORY
        if (found.path, found.kind) in self.recorded:
            return True
        if wanted is None or wanted.kind != found.kind:
            return False
        content = self.workspace.read(wanted)
        return content is not None and wanted.is_like(content)

    def _left_inside(self, steps: Sequence[Step], gone: Collection[str]) -> Iterator[str]:
        """What is left in folders that the plan deletes."""
        for step in steps:
            if step.operation == "delete" and step.type == _DIRECTORY:
                inside = f"{self._path(step.old)}/"
                yield from (path for path in self.there if path.startswith(inside) and path not in gone)

    def _path(self, inputs: Mapping[str, object]) -> str:
        """Below the folder."""
        return str(inputs.get("path")).removeprefix("/Workspace").removeprefix(f"{self.workspace.folder}/")

    def _mistake(self, path: str, found: str) -> Mistake:
        remedy = "nothing was changed. Move it elsewhere, or delete it if nobody wants it; then deploy again"
        return Mistake(key=f"{self.workspace.folder}/{path}", found=found, remedy=remedy)
