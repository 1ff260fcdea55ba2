"""The door under load, with large files and with a dying server: real gunicorn processes, real connections."""

import hashlib
import json
import random
import threading
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support import databases
from tests.support.distributions import form, wheel, wheel_members
from tests.support.live import LiveServer
from tests.support.uploads import Part, RawUpload, fields_of, multipart

MIB = 1 << 20
WARM = wheel("warm")


def send(server: LiveServer, filename: str, content: bytes) -> httpx.Response:
    name, version, *_ = filename.split("-")
    with httpx.Client(timeout=60) as client:
        return client.post(
            f"{server.url}/legacy/",
            data=form(filename, content, name, version),
            files={"content": (filename, content)},
            auth=server.auth,
        )


def rows(server: LiveServer, query: str) -> list[tuple]:
    with databases.connection(server.directory) as connection:
        return connection.execute(query).fetchall()


def at_once(server: LiveServer, files: list[tuple[str, bytes]]) -> Counter:
    """Statuses, and the first words of refusals, of uploads that start together."""
    barrier = threading.Barrier(len(files))

    def job(file: tuple[str, bytes]) -> tuple[int, str]:
        barrier.wait(20)
        answer = send(server, *file)
        return answer.status_code, answer.reason_phrase.partition(" (")[0]

    with ThreadPoolExecutor(len(files)) as pool:
        return Counter(pool.map(job, files))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LiveServer(tmp_path_factory.mktemp("live"), workers=2, threads=4) as running:
        yield running


def test_identical_uploads_at_once_all_succeed(server):
    """Eight CI jobs upload the same wheel through two processes: all are content, one file is there."""
    file = wheel("same")
    assert at_once(server, [file] * 8) == {(200, "OK"): 8}
    assert rows(server, "select count(*) from catalog_file where filename like 'same-%'") == [(1,)]
    assert rows(server, "select count(*) from catalog_journalentry where normalized_name = 'same'") == [(2,)]


def test_different_uploads_at_once_have_one_winner(server):
    """Eight contents race for one filename: one wins, seven are told, and the stored bytes are the winner's."""
    filename = wheel("race")[0]
    contents = [wheel("race", description=str(number))[1] for number in range(8)]
    answers = at_once(server, [(filename, content) for content in contents])
    assert answers == {(200, "OK"): 1, (400, "File already exists"): 7}
    ((digest,),) = rows(server, f"select blob_id from catalog_file where filename = '{filename}'")
    assert digest in {hashlib.sha256(content).hexdigest() for content in contents}
    assert server.manage("check_index").returncode == 0


def large_wheel(path: Path, size: int) -> Path:
    """A wheel of about `size` bytes that no compression makes smaller, written in pieces."""
    members = wheel_members("large", files={})
    piece = random.Random(1).randbytes(MIB)
    target = path / "large-1.0-py3-none-any.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        info = zipfile.ZipInfo("large/data.bin", (2026, 1, 1, 0, 0, 0))
        info.file_size = size  # so that the header is written for a large member
        with archive.open(info, "w") as member:
            for _ in range(size // MIB):
                member.write(piece)
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Peak(threading.Thread):
    """Watches the resident memory of processes, in bytes."""

    def __init__(self, pids: list[int]) -> None:
        super().__init__(daemon=True)
        self._processes = [psutil.Process(pid) for pid in pids]
        self._over = threading.Event()
        self.before = self.now()
        self.most = self.before

    def now(self) -> int:
        return sum(process.memory_info().rss for process in self._processes)

    def run(self) -> None:
        while not self._over.wait(0.01):
            self.most = max(self.most, self.now())

    def end(self) -> int:
        """The growth at the highest moment."""
        self._over.set()
        self.join(5)
        return self.most - self.before


@pytest.mark.parametrize("size", [300 * MIB, pytest.param(1024 * MIB, marks=pytest.mark.proof)])
def test_memory_stays_flat(tmp_path, size):
    """A large wheel passes through a worker that grows by less than 60 MB, and arrives to the byte."""
    path = large_wheel(tmp_path, size)
    digest = digest_of(path)
    fields = form(path.name, b"", name="large", sha256_digest=digest)
    del fields["blake2_256_digest"]
    head, tail = multipart([*fields_of(fields), Part("content", b"<here>", path.name)]).split(b"<here>")
    with LiveServer(tmp_path / "live") as server:
        assert send(server, *wheel()).status_code == 200
        peak = Peak(server.worker_pids())
        peak.start()
        with RawUpload(server.port, auth=server.auth, seconds=120) as client, path.open("rb") as file:
            client.send_head(len(head) + path.stat().st_size + len(tail))
            client.send(head)
            client.sock.sendfile(file)
            client.send(tail)
            status, _, body = client.read_answer()
        growth = peak.end()
        assert (status, body) == (200, "")
        stored = server.directory / "blobs" / digest[:2] / digest[2:4] / digest[4:]
        assert digest_of(stored) == digest
        assert growth < 60 * MIB


def whole_files(server: LiveServer) -> set[str]:
    """The listed filenames, after seeing that each one's bytes and metadata are what the rows say."""
    listed = rows(server, "select filename, blob_id, metadata_blob_id from catalog_file")
    for _, *digests in listed:
        for digest in digests:
            assert digest_of(server.directory / "blobs" / digest[:2] / digest[2:4] / digest[4:]) == digest
    return {filename for filename, *_ in listed}


def usual_seconds(server: LiveServer) -> float:
    """How long an upload takes here and now."""
    took = []
    for version in ("0.1", "0.2", "0.3"):
        began = time.monotonic()
        assert send(server, *wheel("usual", version)).status_code == 200
        took.append(time.monotonic() - began)
    assert send(server, *WARM).status_code == 200
    return min(took)


def upload(server: LiveServer, filename: str, content: bytes, answers: dict[str, int]) -> None:
    """Note the answer, if the server lives to give one."""
    with suppress(httpx.TransportError):
        answers[filename] = send(server, filename, content).status_code


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [15, pytest.param(100, marks=pytest.mark.proof)])
def test_kill_at_any_moment_leaves_nothing_or_the_whole(tmp_path, kills):
    """kill -9 of the server in the middle of an upload, again and again: no half file, no lost answer, no finding."""
    chance = random.Random(20261124)
    files = [wheel("crash", f"1.{n}", files={"crash.bin": chance.randbytes(20_000)}) for n in range(kills)]
    answers: dict[str, int] = {}
    with LiveServer(tmp_path, threads=2, more={"DJANGO_SETTINGS_MODULE": "pkgindex.settings"}) as server:
        usual = usual_seconds(server)
        for filename, content in files:
            assert send(server, *WARM).status_code == 200  # a new process is slow at first: kills would all be early
            client = threading.Thread(target=upload, args=[server, filename, content, answers])
            client.start()
            time.sleep(chance.uniform(0, 1.4 * usual))
            server.kill()
            client.join(30)
            server.start()
        listed = whole_files(server)
        assert set(answers.values()) <= {200}
        assert answers.keys() <= listed
        checked = server.manage("check_index", "--json")
        assert (checked.returncode, json.loads(checked.stdout)["findings"]) == (0, [])

        for filename, content in files:
            assert send(server, filename, content).status_code == 200
        assert {filename for filename, _ in files} <= whole_files(server)
        serials = [serial for (serial,) in rows(server, "select serial from catalog_journalentry order by serial")]
        assert serials == list(range(1, len(serials) + 1))
        assert server.manage("check_index").returncode == 0
