"""What the tour has left where: in the workspace, in the records, in the artifacts of a build."""

import base64
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from rehearsal.tour.steps import PRODUCTION, Tour
from rehearsal.tour.team import PROJECT

TEST = "/bike-sharing-test"


@dataclass
class Deployed:
    """What both environments hold at a moment: path below the folder -> content, and the recorded releases."""

    test: dict[str, bytes]
    production: dict[str, bytes]
    records: dict[str, Any]


def held(tour: Tour, folder: str) -> dict[str, bytes]:
    """What a folder of the workspace holds, by path; the record and the tests are left out."""
    token = tour.home.credentials.users["databricks"]["administrator"]
    found: dict[str, bytes] = {}
    with httpx.Client(
        trust_env=False, base_url=tour.home.workspace_host, headers={"Authorization": f"Bearer {token}"}
    ) as client:

        def walk(path: str) -> None:
            for each in client.get("/api/2.0/workspace/list", params={"path": path}).json().get("objects", []):
                name = each["path"].removeprefix(f"{folder}/")
                if name in (".release", "tests"):
                    continue
                if each["object_type"] == "DIRECTORY":
                    walk(each["path"])
                else:
                    query = {"path": each["path"], "format": "AUTO"}
                    answer = client.get("/api/2.0/workspace/export", params=query).raise_for_status().json()
                    found[name] = base64.b64decode(answer["content"])

        walk(folder)
    return found


def deployed(tour: Tour) -> Deployed:
    """Both environments now."""
    records = {folder: tour.team.record(folder) for folder in (TEST, PRODUCTION)}
    return Deployed(held(tour, TEST), held(tour, PRODUCTION), records)


@dataclass
class Artifact:
    """What a build has published: the release with its manifest, and the digest that it told apart from it."""

    files: dict[str, bytes]
    manifest: dict[str, Any]
    digest: str


def artifact(tour: Tour, build: int) -> Artifact:
    """The artifacts of a build, as somebody downloads them."""

    def unpacked(name: str) -> dict[str, bytes]:
        client = httpx.Client(trust_env=False, timeout=60, auth=("", tour.team.person("devin").token))
        url = f"{tour.home.organization_url}/{quote(PROJECT)}/_apis/build/builds/{build}/artifacts"
        with client:
            query = {"artifactName": name, "api-version": "7.1", "$format": "zip"}
            packed = client.get(url, params=query, follow_redirects=True).raise_for_status().content
        with zipfile.ZipFile(io.BytesIO(packed)) as opened:
            return {
                each.removeprefix(f"{name}/"): opened.read(each) for each in opened.namelist() if not each.endswith("/")
            }

    files = unpacked("release")
    manifest = json.loads(files.pop("manifest.json"))
    return Artifact(files, manifest, unpacked("digest")["release.sha256"].decode().split()[0])
