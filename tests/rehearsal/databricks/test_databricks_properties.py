"""Properties of paths, formats and filters, and of the whole service: no request makes it fail."""

import base64
import io
import json
import string
from contextlib import suppress
from typing import Any

import pytest
from databricks.sdk.service.workspace import ExportFormat, ImportFormat
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rehearsal.databricks import cells, formats, paths
from rehearsal.databricks.cells import HEADERS, Language
from rehearsal.databricks.errors import ApiError, ScimError
from rehearsal.databricks.job_settings import valid_cron
from rehearsal.databricks.scim_filter import parse
from tests.rehearsal.databricks.clients import Workspace

# The service lives longer than one example; the examples don't depend on what the others left.
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)

names = st.text(st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cc", "Cs"]), min_size=1)
names = names.filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)
languages = st.sampled_from(list(HEADERS))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(names, min_size=1, max_size=5).filter(lambda parts: parts[0] != "Workspace"))
def test_a_path_has_one_normal_form(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert paths.normal(path) == paths.normal(path + "/") == paths.normal("/Workspace" + path) == path
    assert paths.ancestors(path)[0] == path
    assert paths.ancestors(path)[-1] == "/"
    assert len(paths.ancestors(path)) == len(parts) + 1


@given(st.text())
@example("/\ud800")
def test_any_text_is_a_path_or_is_refused(text: str) -> None:
    with suppress(ApiError):
        assert paths.normal(text).startswith("/")


@SHARED
@given(name=names, content=st.binary())
def test_any_bytes_come_back_from_a_file_of_any_name(running: Workspace, name: str, content: bytes) -> None:
    path = f"/Shared/{name}"
    sdk = running.sdk()
    sdk.workspace.upload(path, io.BytesIO(content), format=ImportFormat.RAW, overwrite=True)
    assert sdk.workspace.download(path).read() == content
    assert base64.b64decode(sdk.workspace.export(path, format=ExportFormat.AUTO).content or "") == content
    sdk.workspace.delete(path)


@given(language=languages, text=st.text(st.characters(codec="utf-8")))
def test_a_source_notebook_comes_back_byte_for_byte(language: Language, text: str) -> None:
    data = f"{HEADERS[language]}\n{text}".encode()
    content = formats.read("/a", "SOURCE", language, data)
    document = {"path": "/a", "object_type": "NOTEBOOK", "language": language, "format": content.format}
    assert formats.write(document, "SOURCE", content.data)[0] == data


cell = st.text(st.sampled_from(string.ascii_letters + "=()'%# \n"), max_size=40).map(str.strip)


@given(language=languages, given_cells=st.lists(cell.filter(bool), min_size=1, max_size=5))
def test_cells_survive_every_format(language: Language, given_cells: list[str]) -> None:
    source = cells.to_source(given_cells, language)
    assert cells.from_source(source, language) == given_cells
    assert cells.from_html(cells.to_html("n", given_cells, language)) == (language, given_cells)
    plain = [each for each in given_cells if not each.startswith("%md")]
    assert cells.from_jupyter(cells.to_jupyter(plain, language)) == plain


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("form", ["JUPYTER", "HTML", "SOURCE", "AUTO", "DBC"])
def test_any_content_is_taken_or_refused(form: str, content: bytes) -> None:
    with suppress(ApiError):
        formats.read("/Shared/a.ipynb", form, "PYTHON", content)


@given(st.text())
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    with suppress(ScimError):
        parse(text)({"displayName": "x"})


@given(st.text())
def test_a_filter_for_a_name_finds_that_name(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'displayName eq "{quoted}"')({"displayName": name})


@given(st.text())
def test_any_text_is_a_cron_expression_or_not(text: str) -> None:
    assert valid_cron(text) in (True, False)


TASK = {"task_key": "one", "notebook_task": {"notebook_path": "/a"}}
BODIES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "2.0/workspace/import", {"path": "/Shared/f", "format": "SOURCE", "language": "PYTHON", "content": ""}),
    ("POST", "2.0/workspace/mkdirs", {"path": "/Shared/f"}),
    ("POST", "2.0/workspace/delete", {"path": "/Shared/f", "recursive": True}),
    ("PUT", "2.0/permissions/directories/0", {"access_control_list": [{"group_name": "admins"}]}),
    ("PATCH", "2.0/permissions/directories/0", {"access_control_list": [{"permission_level": "CAN_READ"}]}),
    ("POST", "2.2/jobs/create", {"name": "n", "tasks": [TASK], "schedule": {}, "run_as": {}, "git_source": {}}),
    ("POST", "2.0/jobs/create", {"name": "n", "notebook_task": {}, "trigger": {}, "max_concurrent_runs": 1}),
    ("POST", "2.2/jobs/update", {"job_id": 0, "new_settings": {"tasks": [TASK]}, "fields_to_remove": ["tags"]}),
    (
        "POST",
        "2.0/preview/scim/v2/Users",
        {"userName": "a@x.example", "emails": [], "entitlements": [], "active": True},
    ),
    ("POST", "2.0/preview/scim/v2/Groups", {"displayName": "g", "members": [{"value": "1"}], "roles": []}),
    (
        "PATCH",
        "2.0/preview/scim/v2/Groups/{group}",
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "add", "path": "members", "value": [{"value": "1"}]}],
        },
    ),
    ("POST", "2.0/secrets/scopes/create", {"scope": "s", "scope_backend_type": "DATABRICKS"}),
    ("POST", "2.0/secrets/put", {"scope": "s", "key": "k", "string_value": "v"}),
    ("POST", "2.0/secrets/acls/put", {"scope": "s", "principal": "users", "permission": "READ"}),
]


@st.composite
def damaged(draw: st.DrawFn, body: dict[str, Any]) -> Any:
    """The body with something else in one place, at any depth."""
    value: Any = json.loads(json.dumps(body))
    at = value
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = draw(st.sampled_from(keys))
        if isinstance(at[key], dict | list) and at[key] and draw(st.booleans()):
            at = at[key]
            continue
        at[key] = draw(json_values)
        return value


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[f"{method} {path}" for method, path, _ in BODIES])
def test_no_damaged_request_makes_the_service_fail(
    workspace: Workspace, method: str, path: str, body: dict[str, Any]
) -> None:
    [group] = workspace.sdk().groups.list(filter='displayName eq "data-analysts"')
    workspace.sdk().secrets.create_scope("s")
    job_id = workspace.call("POST", "2.2/jobs/create", json={"tasks": [TASK]}).json()["job_id"]
    body = body | {"job_id": job_id} if "job_id" in body else body

    @SHARED
    @given(damaged(body))
    def check(sent: Any) -> None:
        answer = workspace.call(method, path.format(group=group.id), content=json.dumps(sent))
        assert answer.status_code < 500, answer.text

    check()
