"""Files in volumes."""

import io

import pytest
from databricks.sdk.errors import AlreadyExists, BadRequest, NotFound

from tests.rehearsal.databricks.clients import Workspace

VOLUME = "/Volumes/test/bikes/results"


def test_a_file_comes_back_as_it_was_sent(workspace: Workspace) -> None:
    files = workspace.sdk().files
    content = bytes(range(256)) * 100
    files.upload(f"{VOLUME}/1/ä b.bin", io.BytesIO(content))
    assert files.download(f"{VOLUME}/1/ä b.bin").contents.read() == content  # type: ignore[union-attr]  # there are some
    shown = files.get_metadata(f"{VOLUME}/1/ä b.bin")
    assert shown.content_length == len(content)
    assert (workspace.state / "data/volumes/test/bikes/results/1/ä b.bin").read_bytes() == content


def test_json_is_a_file_like_any_other(workspace: Workspace) -> None:
    files = workspace.sdk().files
    files.upload(f"{VOLUME}/summary.json", io.BytesIO(b"[not json"))
    assert files.download(f"{VOLUME}/summary.json").contents.read() == b"[not json"  # type: ignore[union-attr]  # there are some


def test_a_part_of_a_file_can_be_asked_for(workspace: Workspace) -> None:
    workspace.sdk().files.upload(f"{VOLUME}/a", io.BytesIO(b"0123456789"))
    answer = workspace.call("GET", f"2.0/fs/files{VOLUME}/a", headers={"Range": "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")


def test_a_file_is_overwritten_only_on_request(workspace: Workspace) -> None:
    files = workspace.sdk().files
    files.upload(f"{VOLUME}/a", io.BytesIO(b"1"), overwrite=False)
    with pytest.raises(AlreadyExists):
        files.upload(f"{VOLUME}/a", io.BytesIO(b"2"), overwrite=False)
    files.upload(f"{VOLUME}/a", io.BytesIO(b"3"), overwrite=True)
    assert files.download(f"{VOLUME}/a").contents.read() == b"3"  # type: ignore[union-attr]  # there are some


def test_directories_are_listed_page_by_page(workspace: Workspace) -> None:
    files = workspace.sdk().files
    for number in range(5):
        files.upload(f"{VOLUME}/d/{number}", io.BytesIO(b"x" * number))
    files.create_directory(f"{VOLUME}/d/more/below")
    found = list(files.list_directory_contents(f"{VOLUME}/d", page_size=2))
    assert [each.name for each in found] == ["0", "1", "2", "3", "4", "more"]
    assert [each.file_size for each in found] == [0, 1, 2, 3, 4, None]
    assert (found[0].path, found[-1].is_directory) == (f"{VOLUME}/d/0", True)
    assert all(each.last_modified for each in found)


def test_what_is_removed_is_gone_and_only_empty_directories_are(workspace: Workspace) -> None:
    files = workspace.sdk().files
    files.upload(f"{VOLUME}/d/a", io.BytesIO(b"1"))
    with pytest.raises(BadRequest, match="not empty"):
        files.delete_directory(f"{VOLUME}/d")
    files.delete(f"{VOLUME}/d/a")
    for call in (files.delete, files.download, files.get_metadata):
        with pytest.raises(NotFound):
            call(f"{VOLUME}/d/a")
    files.get_directory_metadata(f"{VOLUME}/d")
    files.delete_directory(f"{VOLUME}/d")
    with pytest.raises(NotFound):
        files.get_directory_metadata(f"{VOLUME}/d")
    with pytest.raises(NotFound):
        list(files.list_directory_contents(f"{VOLUME}/d"))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/Volumes/a/b", "/Volumes/a/b/c/../../../x", "/Volumes/a/b/c/%2e%2e/%2e%2e/x"]
)
def test_what_is_in_no_volume_is_refused(workspace: Workspace, path: str) -> None:
    answer = workspace.call("PUT", f"2.0/fs/files{path}", content=b"x")
    assert answer.status_code in (400, 404)
    assert not (workspace.state / "data").exists()


def test_a_link_does_not_lead_out_of_the_volumes(workspace: Workspace) -> None:
    files = workspace.sdk().files
    files.create_directory(f"{VOLUME}/d")
    (workspace.state / "data/volumes/test/bikes/results/d/out").symlink_to("/etc")
    with pytest.raises(BadRequest):
        files.download(f"{VOLUME}/d/out/hostname")
