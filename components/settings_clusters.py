"""The settings of a job's clusters: their keys and rules.

Source: https://docs.databricks.com/api/workspace/jobs/create (job_clusters)
"""

import re

from components.settings_model import Autoscale, Cluster
from components.settings_reading import Phrase, Section, as_text, describe, matches

CLUSTER_KEY = re.compile(r"(?!serverless$)[A-Za-z0-9_-]{1,100}")
SPARK_VERSION = re.compile(r"[0-9]+\.[0-9]+\.x-[a-z0-9.-]+")
NODE_TYPE = re.compile(r"[A-Za-z0-9._-]+")
POLICY = re.compile(r"[0-9A-Za-z-]{1,100}")
MOST_WORKERS = 1000
EXAMPLE = {"sparkVersion": "16.4.x-scala2.12", "nodeType": "Standard_D4ds_v5", "workers": 2}


def clusters(section: Section) -> dict[str, Cluster]:
    """The clusters of a job by name."""
    inner = section.section("clusters", {"small": EXAMPLE})
    result = {}
    for name in inner.values:
        inner.asked.append(str(name))
        if isinstance(name, str) and CLUSTER_KEY.fullmatch(name):
            result[name] = _cluster(inner.section(name, EXAMPLE))
            continue
        inner.refuse(
            str(name),
            found=Phrase(f"the key {name!r}"),
            allowed="at most 100 letters, digits, hyphens and underscores, and not serverless",
            remedy=f"rename the cluster in {section.problems.file(inner.path)}",
        )
    return result


def _cluster(section: Section) -> Cluster:
    sizes = [name for name in ("workers", "autoscale") if section.has(name)]
    if len(sizes) == 2:
        section.refuse(
            "workers",
            found=Phrase("workers and autoscale together"),
            allowed="a fixed number of workers, or autoscale; null takes the other away",
            remedy=section.problems.how_to_remove(section.at("workers"))
            + "\nor: "
            + section.problems.how_to_remove(section.at("autoscale")),
        )
    elif not sizes:
        section.missing("workers", allowed="a number of workers (0: a single node); or autoscale", example=2)
    result = Cluster(
        spark_version=section.text(
            "sparkVersion",
            allowed="a version of the Databricks Runtime, as the API names it",
            example="16.4.x-scala2.12",
            check=matches(SPARK_VERSION),
        ),
        node_type=section.text(
            "nodeType",
            allowed="a type of virtual machine that the workspace offers",
            example="Standard_D4ds_v5",
            check=matches(NODE_TYPE),
        ),
        workers=section.number("workers", default=0, least=0, most=MOST_WORKERS) if "workers" in sizes else None,
        autoscale=_autoscale(section.section("autoscale", {"min": 1, "max": 4})) if "autoscale" in sizes else None,
        policy=section.optional(
            "policy",
            allowed="the id of a cluster policy, not its name",
            example="E05F30E06C006BBA",
            check=matches(POLICY),
        ),
        spark_conf=_spark_conf(section),
    )
    section.close()
    return result


def _autoscale(section: Section) -> Autoscale:
    for name, example in (("min", 1), ("max", 4)):
        if not section.has(name):
            section.missing(name, allowed="a number of workers", example=example)
    least = section.number("min", default=1, least=1, most=MOST_WORKERS)
    most = section.number("max", default=MOST_WORKERS, least=1, most=MOST_WORKERS)
    if least > most:
        section.refuse("max", allowed=f"at least min, {least}", example=least)
    section.close()
    return Autoscale(least=least, most=most)


def _spark_conf(section: Section) -> dict[str, str]:
    inner = section.section("sparkConf", {"spark.sql.shuffle.partitions": "auto"})
    for name, value in inner.values.items():
        inner.asked.append(str(name))
        if not isinstance(value, str):
            inner.refuse(
                str(name),
                found=Phrase(describe(value)),
                allowed="a text (put numbers into quotes)",
                example=as_text(value),
            )
    return {str(name): str(value) for name, value in inner.values.items()}
