"""The package uses nothing that serverless compute and Spark Connect don't have."""

import ast
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
# https://docs.databricks.com/en/compute/serverless/limitations.html
FORBIDDEN = {
    "cache", "persist", "unpersist", "checkpoint", "localCheckpoint", "rdd", "sparkContext", "_jvm", "_sc", "_jdf",
    "_jsparkSession",
    "udf", "pandas_udf", "toPandas", "foreach", "foreachPartition", "mapInPandas", "mapInArrow", "applyInPandas",
}  # fmt: skip
FILES = sorted(NOTEBOOKS.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(NOTEBOOKS)))
def test_a_module_uses_nothing_that_serverless_lacks(path: Path) -> None:
    tree = ast.parse(path.read_text())
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert used & FORBIDDEN == set()
    settings = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "conf"]
    assert settings == []


def test_no_module_is_longer_than_three_hundred_lines() -> None:
    assert {path.name: lines for path in FILES if (lines := len(path.read_text().splitlines())) > 300} == {}
