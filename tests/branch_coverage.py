"""Demands that tests have taken so many of the branches; pytest-cov's own limit counts lines and branches together.

`python -m tests.branch_coverage REPORT PERCENT` reads the rate from coverage's XML report, whose format is Cobertura's
(https://coverage.readthedocs.io/en/latest/commands/cmd_reporting.html#xml-reporting-coverage-xml).
"""

import sys
from pathlib import Path
from xml.etree import ElementTree


def main(report: str, percent: str) -> str | None:
    """Print the share of the branches that were taken; gives what is wrong when it is less than asked.

    Args:
        report: path of the XML file.
        percent: the least share, in percent.
    """
    root = ElementTree.fromstring(Path(report).read_bytes())  # noqa: S314 - coverage has just written it
    taken = 100 * float(root.attrib["branch-rate"])
    print(f"branches: {root.attrib['branches-covered']} of {root.attrib['branches-valid']}, {taken:.1f} %")
    return None if taken >= float(percent) else f"{taken:.1f} % of the branches were taken; {percent} % are asked for"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
