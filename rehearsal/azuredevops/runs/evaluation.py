"""Variables and conditions of a run's stages and jobs, while the run goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property

from rehearsal.agent.language import outcomes
from rehearsal.agent.language.conditions import GraphContexts, ValueContexts, evaluate
from rehearsal.agent.language.plan import Job, Leg, Pipeline, Stage, Variable
from rehearsal.agent.language.runtime import RunVariables, resolved
from rehearsal.azuredevops.context import Service
from rehearsal.azuredevops.runs import graph, run_variables, sources
from rehearsal.store import Document


class Evaluation:
    """What the expressions of one run see.

    Args:
        service, project, run, plan: the run.
        known: its graph; None before it has one.
        origin: where an agent reached the service; empty as long as no agent is there.
    """

    def __init__(
        self,
        service: Service,
        project: Document,
        run: Document,
        plan: Pipeline,
        *,
        known: Document | None = None,
        origin: str = "",
    ) -> None:
        self._service = service
        self.project = project
        self._run = run
        self._plan = plan
        self._graph = known or {"stages": []}
        self.origin = origin

    @cached_property
    def definition(self) -> Document:
        """The pipeline's definition."""
        found = sources.definition_of(self._service.store, self.project["id"], self._run["definition"])
        if found is None:
            raise sources.refused(f"Definition {self._run['definition']} is gone.")
        return found

    @cached_property
    def repository(self) -> Document:
        """The repository of the definition."""
        found = sources.repository_of(self._service.store, self.definition)
        if found is None:
            raise sources.refused(f"The repository of definition {self._run['definition']} is gone.")
        return found

    @cached_property
    def predefined(self) -> dict[str, str]:
        """The service's own variables, those of single jobs left out."""
        return run_variables.predefined(
            self._service, self.project, self._run, self.definition, self.repository, origin=self.origin
        )

    @cached_property
    def _outer(self) -> tuple[tuple[Variable, ...], ...]:
        """The layers below those of a stage: settings, queue time, pipeline."""
        before = (run_variables.of_settings(self.definition), run_variables.of_queue_time(self._run))
        root = resolved(self._fresh(self._plan.variables), self._values(before, {}, {}))
        return (*before, root)

    def of_pipeline(self) -> RunVariables:
        """The variables that are the same in the whole run, which is what conditions of stages know."""
        return RunVariables(self.predefined, *self._outer)

    def of_stage(self, stage: Stage) -> RunVariables:
        """The variables of a stage, which is what conditions of its jobs know."""
        return RunVariables(self.predefined, *self._of_stage(stage, None))

    def layers(self, stage: Stage, job: Job, leg: Leg | None) -> tuple[Variable, ...]:
        """All variables of a job but the service's own, from the least to the most important, `$[ ]` worked out.

        Raises:
            ExpressionError: one of them can't be evaluated.
        """
        outer = self._of_stage(stage, job)
        dependencies = self._of_job(stage, job)
        own = resolved(self._fresh(job.variables), self._values(outer, *dependencies))
        last = resolved(leg.variables, self._values((*outer, own), *dependencies)) if leg else ()
        secret = graph.secret_outputs(self._graph)
        found = (variable for layer in (*outer, own, last) for variable in layer)
        # An output that is secret stays it under the name of whoever takes it over.
        return tuple(
            replace(each, secret=True) if any(value in each.value for value in secret) else each for each in found
        )

    def stage_runs(self, stage: Stage, *, canceled: bool) -> bool:
        """Whether the stage's condition holds.

        Raises:
            ExpressionError: it can't be evaluated.
        """
        known = graph.stage_outcomes(self._graph)
        edges = {each.name: self._present(each).depends_on for each in self._plan.stages}
        names = outcomes.ancestors(stage.name, edges)
        contexts = GraphContexts(
            variables=self.of_pipeline().values(),
            results={name: known[name].result for name in names if name in known},
            dependencies=outcomes.dependencies_of_stage(self._present(stage), known),
            stage_dependencies=outcomes.stage_dependencies(self._present(stage), known),
            start_time=run_variables.started_at(self._run),
            canceled=canceled,
        )
        return evaluate(stage.condition, contexts)

    def job_runs(self, stage: Stage, job: Job, *, canceled: bool) -> bool:
        """Whether the job's condition holds; likewise."""
        state = self._state(stage)
        known = graph.job_outcomes(state)
        names = outcomes.ancestors(job.name, {each.name: each.depends_on for each in stage.jobs})
        dependencies, stage_dependencies = self._of_job(stage, job)
        contexts = GraphContexts(
            variables=self.of_stage(stage).values(),
            results={name: known[name].result for name in names if name in known},
            dependencies=dependencies,
            stage_dependencies=stage_dependencies,
            start_time=run_variables.started_at(self._run),
            canceled=canceled,
        )
        return evaluate(job.condition, contexts)

    def depends_on(self, stage: Stage) -> tuple[str, ...]:
        """The stages that this one waits for. Those that the run leaves out aren't waited for, nor asked about.

        That the stage behind one that was left out runs is how the page "Stages to run" works; no documentation says
        what its condition sees.
        """
        return self._present(stage).depends_on

    def _present(self, stage: Stage) -> Stage:
        gone = {each["name"] for each in self._graph["stages"] if each["leftOut"]}
        return replace(stage, depends_on=tuple(name for name in stage.depends_on if name not in gone))

    def _state(self, stage: Stage) -> Document:
        return graph.named(self._graph["stages"], stage.name) or {"jobs": []}

    def _of_stage(self, stage: Stage, job: Job | None) -> tuple[tuple[Variable, ...], ...]:
        dependencies = self._of_job(stage, job) if job else ({}, self._of_stages(stage))
        own = resolved(self._fresh(stage.variables), self._values(self._outer, *dependencies))
        return (*self._outer, own)

    def _of_stages(self, stage: Stage) -> Mapping[str, object]:
        return outcomes.stage_dependencies(self._present(stage), graph.stage_outcomes(self._graph))

    def _of_job(self, stage: Stage, job: Job) -> tuple[Mapping[str, object], Mapping[str, object]]:
        return outcomes.job_dependencies(job, graph.job_outcomes(self._state(stage))), self._of_stages(stage)

    def _values(
        self,
        layers: Iterable[Iterable[Variable]],
        dependencies: Mapping[str, object],
        stage_dependencies: Mapping[str, object],
    ) -> ValueContexts:
        return ValueContexts(
            variables=RunVariables(self.predefined, *layers).values(),
            counter=self._counter,
            start_time=run_variables.started_at(self._run),
            resources=run_variables.resources_context(self._service.store, self._run),
            dependencies=dependencies,
            stage_dependencies=stage_dependencies,
        )

    def _fresh(self, given: Iterable[Variable]) -> tuple[Variable, ...]:
        """The same with what the variable groups say by now."""
        given = tuple(given)
        store = self._service.store
        names = {each.group for each in given if each.group}
        groups = {name: sources.find_group(store, self.project, name) or {} for name in names}
        result = []
        for each in given:
            now = groups[each.group].get(each.name) if each.group else None
            result.append(replace(each, value=now.value, secret=now.secret) if now else each)
        return tuple(result)

    def _counter(self, prefix: str, seed: int) -> int:
        """The value of `counter(prefix, seed)`: one more with each run, the same wherever the run asks for it."""
        store, run = self._service.store, self._run
        place = f"{self.project['id']}/{run['definition']}/{prefix}"
        kept = store.get("counter-value", f"{run['plan']}/{prefix}/{seed}")
        if kept is None:
            kept = {"value": store.next_number(f"counter/{place}/{seed}", seed)}
            store.put("counter-value", f"{run['plan']}/{prefix}/{seed}", kept)
        return int(kept["value"])
