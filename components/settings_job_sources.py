"""Where the settings of jobs come from: the project's jobs, what a stack has for all, and what it changes in one."""

from collections.abc import Mapping

from components import naming
from components.settings_jobs import JOB_KEY, job
from components.settings_merge import Placed, covered, merged, needless, placed
from components.settings_model import Job, Notebooks
from components.settings_reading import NAMESPACE, Phrase, Section, did_you_mean
from release_files import Language

# What `jobDefaults` may say of every job; `paused` is of their schedules.
DEFAULTS = ("compute", "clusters", "runAs", "notify", "parameters", "paused", "access", "tags")
SOURCES = ("jobs", "jobOverrides", "jobDefaults")


def runnable(notebooks: Notebooks, tests: Notebooks | None) -> dict[str, Language | None] | None:
    """The notebooks that a task may name, with their languages; None where a mistake keeps them unknown."""
    places = [(notebooks, "")] + ([(tests, f"{naming.TESTS}/")] if tests else [])
    if not all(place.release.digest for place, _ in places):
        return None
    return {
        f"{prefix}{file.workspace_path}": file.language
        for place, prefix in places
        for file in place.release.files
        if file.kind == "notebook"
    }


def jobs(top: Section, notebooks: Mapping[str, Language | None] | None) -> dict[str, Job]:
    """The jobs of a stack: those of `jobs`, over `jobDefaults`, with `jobOverrides` over them."""
    example = {"refresh": {"notebook": min(notebooks or (), default="folder/notebook")}}
    given, overrides = top.section("jobs", example), top.section("jobOverrides", example)
    defaults = top.section("jobDefaults", {"parameters": {"catalog": "main"}})
    paused = defaults.flag("paused", default=False)
    base = Placed({}, {})
    for name in DEFAULTS:
        if defaults.has(name) and name != "paused":
            base[name] = placed(defaults.values[name], defaults.at(name))
            base.places[name] = defaults.at(name)
    defaults.close()
    result: dict[str, Job] = {}
    for key in dict.fromkeys([*given.values, *overrides.values]):
        where = given if key in given.values else overrides
        if not (isinstance(key, str) and JOB_KEY.fullmatch(key)):
            where.refuse(
                str(key),
                found=Phrase(f"the key {key!r}"),
                allowed="at most 50 lower-case letters, digits and hyphens, with a letter in front",
                remedy=f"rename the job in {where.problems.file(where.path)}",
            )
            continue
        if key in given.values and overrides.values.get(key, given) is None:
            continue  # taken away
        # Read for themselves, so that what isn't a mapping is reported where it stands.
        layers = [each.section(key, example["refresh"]) for each in (given, overrides) if key in each.values]
        if not all(layer.is_mapping for layer in layers):
            continue
        remedy = top.problems.how_to_set(where.at(key), example["refresh"])
        section = Section(top.problems, where.at(key), _together(base, layers), remedy)
        if where is overrides and not {"notebook", "tasks"} & set(section.values):
            guess = did_you_mean(key, map(str, given.values))
            top.problems.add(
                f"{NAMESPACE}:{where.at(key)}",
                found=Phrase("a change of a job that isn't there"),
                allowed="a job of databricks-cicd:jobs; or a whole one, with notebook or tasks",
                remedy=f"did you mean '{guess}'? Rename it in {top.problems.file(where.path)}"
                if guess
                else top.problems.how_to_remove(where.at(key)),
            )
            continue
        result[key] = job(section, notebooks, paused=paused)
    return result


def _together(base: Placed, layers: list[Section]) -> Placed:
    """The layers over the defaults."""
    for layer in layers:
        patch = placed(layer.values, layer.path)
        for path in needless(base, patch):
            layer.problems.add(
                f"{NAMESPACE}:{path}",
                found=Phrase("null, and there is nothing to take away"),
                allowed="a value; null takes away what the job would have otherwise",
                remedy=layer.problems.how_to_remove(path),
            )
        for path, found, over in covered(base, patch):
            layer.problems.add(
                f"{NAMESPACE}:{path}",
                found=found,
                allowed=f"a mapping of keys, as at {over}, which changes some of them",
                remedy=layer.problems.how_to_remove(path),
            )
        base = merged(base, patch)
    return base
