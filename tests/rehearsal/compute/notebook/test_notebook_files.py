"""dbutils.fs on the folder that stands for cloud storage."""

from pathlib import Path

import pytest

from rehearsal.compute.notebook.dbutils.files import Files
from rehearsal.compute.notebook.errors import UnsupportedError

VOLUME = "/Volumes/main/raw/landing"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path.resolve()


@pytest.fixture
def fs(folder: Path) -> Files:
    (folder / "temporary").mkdir()
    return Files(folder / "data", folder / "temporary")


def test_what_is_put_is_there_on_disk_and_comes_back(fs: Files, folder: Path) -> None:
    assert fs.put(f"{VOLUME}/trips/ä b.csv", "één\n") is True
    assert fs.put("dbfs:/folder/x.txt", "1") is True

    assert (folder / "data/volumes/main/raw/landing/trips/ä b.csv").read_text() == "één\n"
    assert (folder / "data/dbfs/folder/x.txt").read_text() == "1"
    assert fs.head(f"dbfs:{VOLUME}/trips/ä b.csv") == "één\n"
    assert fs.head("/folder/x.txt", 0) == ""
    with pytest.raises(FileExistsError):
        fs.put("/folder/x.txt", "2")
    assert fs.put("/folder/x.txt", "2", True) is True
    assert fs.head("folder/x.txt") == "2"


def test_ls_tells_path_name_size_and_time(fs: Files) -> None:
    fs.put(f"{VOLUME}/b.txt", "12345")
    fs.mkdirs(f"{VOLUME}/a")

    folder, file = fs.ls(VOLUME)
    assert (folder.path, folder.name, folder.size) == (f"dbfs:{VOLUME}/a/", "a/", 0)
    assert folder.isDir()
    assert not folder.isFile()
    assert (file.path, file.name, file.size) == (f"dbfs:{VOLUME}/b.txt", "b.txt", 5)
    assert file.isFile()
    assert file.modificationTime > 1_600_000_000_000
    assert fs.ls(file.path) == [file]
    assert [each.path for each in fs.ls("/Volumes/main")] == ["dbfs:/Volumes/main/raw/"]
    assert fs.ls("/") == []
    with pytest.raises(FileNotFoundError, match="dbfs:/none"):
        fs.ls("/none")


def test_files_and_folders_are_copied_moved_and_removed(fs: Files) -> None:
    fs.put("/a/one.txt", "1")
    fs.put("/a/b/two.txt", "2")

    with pytest.raises(IsADirectoryError):
        fs.cp("/a", f"{VOLUME}/a")
    assert fs.cp("/a", f"{VOLUME}/a", True)
    assert fs.cp("/a/one.txt", f"{VOLUME}/a/b")
    assert sorted(each.name for each in fs.ls(f"{VOLUME}/a/b")) == ["one.txt", "two.txt"]
    assert fs.mv("/a/one.txt", "/c/renamed.txt")
    assert [each.name for each in fs.ls("/a")] == ["b/"]
    assert fs.mv("/a", "/moved", recurse=True)
    assert fs.head("/moved/b/two.txt") == "2"
    with pytest.raises(OSError, match="non-empty directory"):
        fs.rm("/moved")
    assert fs.rm("/moved", True) is True
    assert fs.rm("/moved") is False
    with pytest.raises(OSError, match="into itself"):
        fs.cp("/c", "/c/d", True)
    with pytest.raises(OSError, match="onto itself"):
        fs.cp("/c/renamed.txt", "/c")


def test_local_files_are_those_of_the_runs_temporary_folder(fs: Files, folder: Path) -> None:
    local = folder / "temporary/report.xml"
    local.write_text("<x/>")

    fs.cp(f"file:{local}", f"{VOLUME}/report.xml")

    assert fs.head(f"{VOLUME}/report.xml") == "<x/>"
    assert fs.ls(f"file://{folder}/temporary")[0].name == "report.xml"
    with pytest.raises(UnsupportedError, match="only in the run's temporary folder"):
        fs.ls("file:/etc")


@pytest.mark.parametrize("path", ["/a/../../b", "dbfs:/../x", "/Volumes/main/raw/landing/../../../x", "/a\0b"])
def test_paths_out_of_the_folder_are_refused(fs: Files, path: str) -> None:
    for call in (fs.ls, fs.rm, fs.mkdirs, fs.head):
        with pytest.raises(PermissionError, match="may not have"):
            call(path)


def test_symbolic_links_are_refused(fs: Files, folder: Path) -> None:
    fs.put("/a/x.txt", "1")
    (folder / "data/dbfs/a/link").symlink_to("/etc")

    with pytest.raises(PermissionError, match="symbolic link"):
        fs.ls("/a/link")
    with pytest.raises(PermissionError, match="symbolic link"):
        fs.put("/a/link/passwd", "x", True)


@pytest.mark.parametrize("path", ["/Volumes", "/Volumes/main/raw", "/Volumes/main/raw/landing", "dbfs:/"])
def test_volumes_themselves_and_the_root_are_not_changed(fs: Files, path: str) -> None:
    with pytest.raises(PermissionError):
        fs.rm(path, True)
    with pytest.raises(PermissionError):
        fs.put(path, "x", True)


@pytest.mark.parametrize("path", ["abfss://a@b/c", "s3://bucket/x", "http://example.org", "/Workspace/Users/x"])
def test_other_places_are_refused_by_name(fs: Files, path: str) -> None:
    with pytest.raises(UnsupportedError, match=path.split(":", maxsplit=1)[0]):
        fs.ls(path)


def test_a_long_file_is_cut_by_head(fs: Files, capsys: pytest.CaptureFixture[str]) -> None:
    fs.put("/long.txt", "x" * 70_000)

    assert fs.head("/long.txt") == "x" * 65_536
    assert capsys.readouterr().out == "Wrote 70000 bytes.\n[Truncated to first 65536 bytes]\n"
