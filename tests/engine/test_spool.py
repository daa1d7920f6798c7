from __future__ import annotations

import hashlib
import io
import os
import resource
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tap_exports.engine.spool import MARKER, PREFIX, Spool, SpoolFile
from tap_exports.errors import ConfigError, LimitError, NoRoomError, StopError

HOLD = """
import sys, time
from tap_exports.engine.spool import Spool
file = Spool(sys.argv[1]).create("left.csv")
file.write(b"rows")
file.close()
print(file.path, flush=True)
time.sleep(60)
"""


def spools(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{PREFIX}*"))


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that keeps a spool in a folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let every file end at a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_all(file: SpoolFile, *sizes: int) -> None:
    for size in sizes:
        file.write(bytes(size))
    file.close()


class TestFiles:
    def test_files_are_private(self, tmp_path: Path) -> None:
        """P7: 0600 in a directory of 0700, whatever the umask."""
        before = os.umask(0)
        try:
            with closing(Spool(str(tmp_path / "new"))) as spool:
                file = spool.create("a.csv")
                file.close()
                modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new", spool.directory, file.path)]
        finally:
            os.umask(before)
        assert modes == [0o700, 0o700, 0o600]

    @pytest.mark.parametrize(
        ("name", "slug"),
        [
            ("Export Ü 1.CSV", "export_1.csv"),
            ("../../etc/passwd", "etc_passwd"),
            ("/abs\x00olute", "abs_olute"),
            ("", "file"),
            ("..", "file"),
            ("x" * 500 + ".csv", "x" * 56 + ".csv"),
        ],
    )
    def test_name_is_a_number_and_what_is_harmless(self, tmp_path: Path, name: str, slug: str) -> None:
        with closing(Spool(str(tmp_path))) as spool:
            files = [spool.create(name) for _ in range(2)]
            assert [file.path for file in files] == [spool.directory / f"00000{number}-{slug}" for number in (1, 2)]
            for file in files:
                file.discard()

    def test_existing_file_is_never_opened(self, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to(tmp_path / "target")
        with pytest.raises(FileExistsError):
            SpoolFile(tmp_path / "a", 10)
        assert not (tmp_path / "target").exists()

    def test_restart_forgets_bytes_and_digest(self, tmp_path: Path) -> None:
        with closing(Spool(str(tmp_path))) as spool:
            file = spool.create("a")
            file.write(b"x" * 3_000_000)
            file.restart()
            pieces = [b"new", b"y" * 300_000, b"z" * 3_000_000, b"end"]
            for piece in pieces:
                file.write(piece)
            file.close()
            assert (file.path.read_bytes(), file.size) == (b"".join(pieces), 3_300_006)
            assert file.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()

    def test_file_over_the_limit_stops(self, tmp_path: Path) -> None:
        with closing(Spool(str(tmp_path), max_mb=1)) as spool:
            file = spool.create("a")
            file.write(bytes(2**20))
            with pytest.raises(LimitError, match=r"^1048577 bytes are more than `spool_max_mb` \(1 MiB\) allows$"):
                file.write(b"x")
            file.discard()

    @pytest.mark.parametrize("size", [1_500_000, 5_000_000])
    def test_full_disk_is_said(self, tmp_path: Path, size: int) -> None:
        """Whether it shows on a write or only when the last bytes leave the buffer."""
        with closing(Spool(str(tmp_path))) as spool:
            file = spool.create("a")
            with disk_of(1_200_000), pytest.raises(StopError) as caught:
                write_all(file, 700_000, size - 700_000)
            assert caught.value.message == f"the disk of `spool_dir` ({tmp_path}) is full after {size} bytes of a file"
            file.discard()
            assert spool.used == 0

    def test_full_disk_is_not_forgotten(self, tmp_path: Path) -> None:
        """A file that lacks bytes never passes for whole, however often it is closed."""
        with closing(Spool(str(tmp_path))) as spool:
            file = spool.create("a")
            with disk_of(1_200_000), pytest.raises(StopError):
                write_all(file, 2_000_000, 2_000_000)
            for _ in range(2):
                with pytest.raises(StopError):
                    file.close()
            file.discard()

    def test_other_failure_of_the_disk_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class BrokenDisk(io.BytesIO):
            def seek(self, *_: int) -> int:
                raise OSError(5, "Input/output error")

        with closing(Spool(str(tmp_path))) as spool:
            file = spool.create("a")
            with monkeypatch.context() as patch, BrokenDisk() as broken:
                patch.setattr(file, "_file", broken)
                with pytest.raises(StopError, match=r"^`spool_dir` \(.*\) cannot be written: Input/output error$"):
                    file.restart()
            file.discard()


class TestBudget:
    def test_room_ends_with_the_budget_and_returns_with_the_reader(self, tmp_path: Path) -> None:
        with closing(Spool(str(tmp_path), max_mb=2)) as spool:
            files = [spool.create("a"), spool.create("b")]
            for file in files:
                assert spool.has_room
                file.write(bytes(2**20))
                file.close()
            assert (spool.used, spool.has_room) == (2 * 2**20, False)
            files[0].path.unlink()
            assert (spool.used, spool.has_room) == (2**20, True)

    def test_what_is_announced_is_reserved(self, tmp_path: Path) -> None:
        """Before its bytes come; a file that nobody waits for gives way, one that is waited for does not."""
        with closing(Spool(str(tmp_path), max_mb=2)) as spool:
            first, second = (spool.create(name, ahead=True) for name in "ab")
            first.expect(3 * 2**19)
            assert spool.used == 3 * 2**19
            with pytest.raises(NoRoomError, match=r"no room for 1048576 bytes ahead of their turn \(`spool_max_mb`\)"):
                second.expect(2**20)
            waited_for = spool.create("c")
            waited_for.expect(2**20)
            first.discard()
            with pytest.raises(NoRoomError):
                second.expect(3 * 2**19)
            second.expect(2**20)
            second.discard()
            waited_for.discard()

    def test_what_is_not_announced_gives_way_when_it_comes(self, tmp_path: Path) -> None:
        with closing(Spool(str(tmp_path), max_mb=2)) as spool:
            file = spool.create("a", ahead=True)
            write_all(file, 2**20)
            other = spool.create("b", ahead=True)
            other.write(bytes(2**19))
            with pytest.raises(NoRoomError):
                other.write(bytes(2**20))
            file.path.unlink()  # by its reader
            other.write(bytes(2**20))
            other.close()
            assert spool.used == 3 * 2**19

    def test_many_files_are_not_looked_at_for_every_answer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A thousand jobs that end before their turn ask a thousand times: the looks must not grow with both."""
        looks: list[int] = []
        with closing(Spool(str(tmp_path))) as spool:
            for _ in range(320):
                spool.create("a").close()
            monkeypatch.setattr(spool, "_sizes", counted(spool._sizes, looks))
            assert all(spool.has_room for _ in range(320))
        assert len(looks) == 320 // (320 // 16 + 1) + 1

    def test_closed_spool_has_no_room(self, tmp_path: Path) -> None:
        """A run that ends closes the spool while a job's end may still ask for room, in a worker of its own."""
        with closing(Spool(str(tmp_path))) as spool:
            for _ in range(32):
                spool.create("a").close()
            assert spool.has_room
        assert not spool.has_room

    def test_file_that_its_reader_removes_meanwhile_counts_nothing(self, tmp_path: Path) -> None:
        with closing(Spool(str(tmp_path))) as spool:
            (spool.directory / "gone").symlink_to(tmp_path / "nowhere")
            assert spool.used == 0


def counted(sizes: Callable[[], list[int]], looks: list[int]) -> Callable[[], list[int]]:
    def look() -> list[int]:
        looks.append(1)
        return sizes()

    return look


class TestDirectory:
    def test_default_is_the_directory_for_temporary_files(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with closing(Spool()) as spool:
            assert spool.directory.parent == tmp_path

    def test_close_removes_everything_and_may_be_repeated(self, tmp_path: Path) -> None:
        spool = Spool(str(tmp_path))
        spool.create("a").close()
        spool.close()
        spool.close()
        assert list(tmp_path.iterdir()) == []

    def test_directory_that_cannot_be_used_is_a_config_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(ConfigError, match=r"^`spool_dir` \(.*/file\) cannot be used: "):
            Spool(str(tmp_path / "file"))

    def test_spool_of_a_living_process_stays_and_of_a_dead_one_goes(self, tmp_path: Path) -> None:
        """P7: nothing stays behind after a crash, once the tap starts again."""
        with holder(tmp_path) as process:
            assert process.stdout
            left = Path(process.stdout.readline().strip())
            with closing(Spool(str(tmp_path))):
                assert left.read_bytes() == b"rows"
            process.kill()
            process.wait()
            assert left.exists()
            with closing(Spool(str(tmp_path))) as spool:
                assert spools(tmp_path) == [spool.directory]

    def test_spool_that_another_start_removes_meanwhile_is_no_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = tmp_path / f"{PREFIX}gone"
        monkeypatch.setattr(Path, "glob", lambda *_: [gone])
        Spool(str(tmp_path)).close()
        monkeypatch.setattr("tap_exports.engine.spool._is_ours", lambda _: True)
        Spool(str(tmp_path)).close()
        assert list(tmp_path.iterdir()) == []

    def test_two_spools_of_one_process_do_not_remove_each_other(self, tmp_path: Path) -> None:
        with closing(Spool(str(tmp_path))) as first, closing(Spool(str(tmp_path))) as second:
            assert spools(tmp_path) == sorted([first.directory, second.directory])

    def test_what_is_no_spool_of_ours_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The directory for temporary files is shared: links and folders that only have the name are left alone."""
        target = tmp_path / "precious"
        for folder in (target, tmp_path / f"{PREFIX}clone"):
            folder.mkdir()
        (target / MARKER).touch()
        (tmp_path / f"{PREFIX}link").symlink_to(target)
        (tmp_path / f"{PREFIX}file").touch()
        before = sorted(tmp_path.rglob("*"))
        Spool(str(tmp_path)).close()
        assert sorted(tmp_path.rglob("*")) == before

    def test_spool_of_another_user_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        theirs = tmp_path / f"{PREFIX}theirs"
        theirs.mkdir()
        (theirs / MARKER).touch()
        owner = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
        Spool(str(tmp_path)).close()
        assert theirs.exists()
        monkeypatch.setattr(os, "geteuid", lambda: owner)
        Spool(str(tmp_path)).close()
        assert not theirs.exists()
