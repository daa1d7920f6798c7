"""Work elsewhere: shown to be possible before anything is created, tried twice, timed, and looked at afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from tap_exports import __version__
from tap_exports.engine.convert import worker
from tap_exports.engine.convert.bounds import Bounds
from tap_exports.engine.convert.elsewhere import Elsewhere
from tap_exports.engine.convert.engines import Function, OwnEngine
from tap_exports.engine.convert.executors import refuse_secrets
from tap_exports.engine.convert.harmless import secret_names
from tap_exports.engine.convert.task import Host, Result, Task
from tap_exports.engine.publish.storage import Storage
from tap_exports.errors import ConfigError, ExecutorError, RunEndingError

TASK: Task = {"file": {"name": "export.csv"}}
DONE: Result = {"error": None, "parts": []}
KILLED = type("KilledWorker", (Exception,), {})("work-1")  # bears the name of Dask's own
MISSING = ImportError("No module named 's3fs'")


class Engine:
    """Answers from a script: values are answers to `perform`, errors are raised, callables are called.

    Attributes:
        threads: What it tells of its size.
        greetings: What it does when it greets; the worker's own function where there is none.
    """

    def __init__(self, *script: object, threads: int | None = 2, greeting: object = None) -> None:
        self.script, self.threads, self.greeting = list(script), threads, greeting
        self.tasks, self.closed = list[Task](), False

    def submit(self, work: Function, task: Task) -> Future[Result]:
        self.tasks.append(task)
        future: Future[Result] = Future()
        given = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(given):
            given = given(future)
        if isinstance(given, Exception):
            future.set_exception(given)
        elif given is not None:
            future.set_result(answer(given))
        return future

    def greet(self, work: Function, task: Task, seconds: float) -> Sequence[Result]:
        if isinstance(self.greeting, Exception):
            raise self.greeting
        return [{**work(task), **(self.greeting if isinstance(self.greeting, dict) else {})}]

    def size(self) -> int | None:
        return self.threads

    def close(self) -> None:
        self.closed = True


def answer(result: Any, seconds: float = 0.0) -> Result:  # noqa: ANN401 - JSON
    return {"version": __version__, "result": result, "defect": None, "seconds": seconds}


def elsewhere(folder: Path, *engines: Engine | Exception, **bounds: Any) -> Elsewhere:  # noqa: ANN401 - of `Bounds`
    """Return an executor that connects to each engine in turn; it is open."""
    made = unopened(*engines, **bounds)
    made.open(place(folder), Storage(str(folder)))
    return made


def unopened(*engines: Engine | Exception, **bounds: Any) -> Elsewhere:  # noqa: ANN401 - of `Bounds`
    rest = list(engines)

    def connect() -> Engine:
        engine = rest.pop(0)
        if isinstance(engine, Exception):
            raise engine
        return engine

    return Elsewhere("Dask at tcp://there", connect, Bounds(**{"connect_seconds": 0.2, "task_seconds": 5, **bounds}))


def place(folder: Path) -> Task:
    return {"root": str(folder), "prefix": "p-", "options": {}}


def test_greeting_leaves_nothing(tmp_path: Path) -> None:
    """A worker has written to the storage, the tap has seen it there, and it is gone."""
    engine = Engine(DONE)
    made = elsewhere(tmp_path, engine)
    assert (list(tmp_path.iterdir()), made.size()) == ([], 2)
    made.open(place(tmp_path), Storage(str(tmp_path)))
    assert made.work(TASK, Host())["parts"] == []


UNFIT: dict[str, tuple[Engine | Exception, str]] = {
    "no worker": (Engine(DONE, greeting=TimeoutError()), "no worker answers within 0.2 s; start one"),
    "wrong address": (OSError("Timed out trying to connect"), "OSError: Timed out trying to connect; see that it runs"),
    "another version": (Engine(DONE, greeting={"version": "0.0.1"}), "has tap-exports 0.0.1, and the tap is"),
    "package missing": (
        Engine(DONE, greeting=ModuleNotFoundError("No module named 'tap_exports'")),
        f"No module named 'tap_exports'; install tap-exports=={__version__} on all workers",
    ),
    "package missing, told as text": (
        Engine(DONE, greeting=Exception("ModuleNotFoundError('tap_exports')")),
        f"install tap-exports=={__version__} on all workers",
    ),
    "no credentials": (
        Engine(DONE, greeting={"result": {"error": "cannot write s3://x: NoCredentialsError", "url": None, "size": 0}}),
        "a worker says: cannot write s3://x: NoCredentialsError; give the workers their own credentials",
    ),
    "another storage": (
        Engine(DONE, greeting={"result": {"error": None, "url": "file:///not/there", "size": 8}}),
        "a worker wrote file:///not/there, 8 bytes, and it is not there; workers and tap need the same storage",
    ),
    "broken pool": (Engine(DONE, greeting=BrokenProcessPool("a child died")), "BrokenProcessPool: a child died"),
}


@pytest.mark.parametrize(("engine", "message"), UNFIT.values(), ids=UNFIT)
def test_what_is_wrong_is_told_before_anything_is_created(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine | Exception,
    message: str,
) -> None:
    """One class of error names engine, address, cause and remedy; the next stream hears the same, without a wait."""
    monkeypatch.setattr("tap_exports.engine.convert.elsewhere.PAUSES", (0.0,))
    made = unopened(engine)
    told = []
    for _ in range(2):
        with pytest.raises(ExecutorError, match=r"executor: Dask at tcp://there: ") as raised:
            made.open(place(tmp_path), Storage(str(tmp_path)))
        told.append(raised.value.message)
    assert message in told[0] == told[1]
    assert not isinstance(engine, Engine) or engine.closed


def test_engine_that_fails_is_tried_once_more(tmp_path: Path) -> None:
    """With a new connection; its names make the work the same work. A second failure is the stream's."""
    first, second = Engine(CancelledError()), Engine({"error": None, "parts": ["x"]})
    made = elsewhere(tmp_path, first, second)
    assert made.work(TASK, Host())["parts"] == ["x"]
    assert (first.closed, second.closed, len(second.tasks)) == (True, False, 1)
    made = elsewhere(tmp_path, Engine(CancelledError()), Engine(OSError("gone: https://host/a?token=SECRET'")))
    with pytest.raises(ExecutorError, match="OSError: gone: https://host/a"):
        made.work(TASK, Host())
    made = elsewhere(tmp_path, Engine(CancelledError()), OSError("nobody"))
    for _ in range(2):
        with pytest.raises(ExecutorError, match="OSError: nobody") as raised:
            made.work(TASK, Host())
        assert "SECRET" not in raised.value.message


def test_threads_that_see_it_fail_share_one_new_connection(tmp_path: Path) -> None:
    broken = threading.Barrier(3)

    def fail(future: Future[Result]) -> Exception:
        broken.wait(5)
        return BrokenProcessPool("a child died")

    made = elsewhere(tmp_path, Engine(fail), Engine({"error": None, "parts": ["x"]}))
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(lambda _: made.work(TASK, Host()), range(3)))
    assert [result["parts"] for result in results] == [["x"]] * 3


@pytest.mark.parametrize("error", [KILLED, MISSING], ids=["killed", "missing"])
def test_what_a_new_connection_cannot_mend_is_not_repeated(tmp_path: Path, error: Exception) -> None:
    engine = Engine(error)
    with pytest.raises(ExecutorError, match=r"install tap-exports|MB of a worker's memory"):
        elsewhere(tmp_path, engine).work(TASK, Host())
    assert len(engine.tasks) == 1


def test_deadline_of_a_file(tmp_path: Path) -> None:
    """A worker that hangs ends its stream with a message, and is not waited for a second time."""
    engine = Engine(lambda _: None)
    with pytest.raises(ExecutorError, match=r"export.csv took longer than 0.1 s; .* executor_task_seconds"):
        elsewhere(tmp_path, engine, task_seconds=0.1).work(TASK, Host())
    assert len(engine.tasks) == 1


def test_end_of_the_run_waits_for_nobody(tmp_path: Path) -> None:
    made = elsewhere(tmp_path, Engine(lambda _: None))
    with pytest.raises(RunEndingError):
        made.work(TASK, Host(ended=lambda: True))
    made.close()
    with pytest.raises(RunEndingError):
        made.work(TASK, Host())


def test_another_version_on_a_worker_that_came_later(tmp_path: Path) -> None:
    """Each answer says by which version it was made; a worker does no work for another one."""
    engine = Engine(lambda future: future.set_result({**answer(DONE), "version": "9.9"}))
    with pytest.raises(ExecutorError, match=r"a worker of Dask at tcp://there has tap-exports 9.9"):
        elsewhere(tmp_path, engine).work(TASK, Host())
    assert engine.tasks[0]["version"] == __version__
    assert worker.perform({"version": "9.9"}) | {"seconds": 0} == {**answer(None), "version": __version__}


def test_defect_on_a_worker_is_raised_here(tmp_path: Path) -> None:
    """It reaches the engine as a value: an engine may log the arguments of what raises, and they hold a signed URL."""
    told = worker.perform({"version": __version__, "spool": {}})
    assert told["defect"].startswith("KeyError")
    engine = Engine(lambda future: future.set_result({**answer(None), "defect": "KeyError: 'layout'"}))
    with pytest.raises(RuntimeError, match=r"on a worker of Dask at tcp://there: KeyError: 'layout'"):
        elsewhere(tmp_path, engine).work(TASK, Host())


def test_wait_in_a_queue_is_told(tmp_path: Path) -> None:
    def late(future: Future[Result]) -> None:
        threading.Timer(0.3, lambda: future.set_result(answer(DONE, seconds=0.1))).start()

    result = elsewhere(tmp_path, Engine(late)).work(TASK, Host())
    assert 0.1 < result["queued"] < 5


def test_size_follows_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many files at once as it has threads, also when workers come and go; a setting goes before that."""
    monkeypatch.setattr("tap_exports.engine.convert.elsewhere.SIZE_SECONDS", 0.0)
    engine = Engine(DONE, threads=1)
    made = elsewhere(tmp_path, engine)
    sizes = []
    for engine.threads in (1, 16, 0, 5000, None):
        sizes.append(made.size())
    assert sizes == [1, 16, 0, 1024, 4]
    assert elsewhere(tmp_path, Engine(DONE, threads=9), size=3).size() == 3


def test_slots_are_what_workers_are_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An URL is asked for within: nothing is signed for a file that nobody begins. A worker that comes is used."""
    monkeypatch.setattr("tap_exports.engine.convert.elsewhere.SIZE_SECONDS", 0.0)
    engine = Engine(DONE, threads=1)
    made, entered = elsewhere(tmp_path, engine), threading.Semaphore(0)
    leave = threading.Event()

    def hold() -> None:
        with made.slot(lambda: False):
            entered.release()
            leave.wait(5)

    holders = [threading.Thread(target=hold) for _ in range(2)]
    for holder in holders:
        holder.start()
    assert entered.acquire(timeout=5)
    assert not entered.acquire(timeout=0.7)
    engine.threads = 2
    assert entered.acquire(timeout=5)
    leave.set()
    for holder in holders:
        holder.join()


def test_no_worker_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said at once, and after a while it is an error."""
    monkeypatch.setattr("tap_exports.engine.convert.elsewhere.SIZE_SECONDS", 0.0)
    engine = Engine(DONE)
    made = elsewhere(tmp_path, engine)
    engine.threads = 0
    began = time.monotonic()
    with pytest.raises(ExecutorError, match="no worker was there for"), made.slot(lambda: False):
        pytest.fail("there is no slot")
    assert time.monotonic() - began < 5
    with pytest.raises(RunEndingError), made.slot(lambda: True):
        pytest.fail("there is no slot")


@pytest.mark.parametrize(("size", "digest"), [(7, None), (8, "other")])
def test_object_that_is_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, digest: str) -> None:
    """Size and, where the storage has one, digest are those that the worker saw."""
    made = elsewhere(tmp_path, Engine(DONE))
    (tmp_path / "part").write_bytes(b"content!")
    seen = Storage(str(tmp_path)).look(f"file://{tmp_path}/part")
    assert seen is not None
    monkeypatch.setattr(Storage, "look", lambda *_: type(seen)(seen.size, "this"))
    made.check({"url": "file:///part", "size": 8, "digest": "this"})
    made.check({"url": "file:///part", "size": 8, "digest": None})
    with pytest.raises(
        ExecutorError, match="it is another one there, of 8 bytes; workers and tap need the same storage"
    ):
        made.check({"url": "file:///part", "size": size, "digest": digest})


def test_own_executor_ends_with_what_it_made() -> None:
    """Whatever `shutdown` takes, and where there is none; its size is what it says of itself."""
    calls: list[Any] = []

    class Plain:
        size = 7

        def submit(self, *_: object) -> None: ...

        def shutdown(self) -> None:
            calls.append("shutdown")

    plain = OwnEngine("m:f", Plain)
    assert plain.size() == 7
    plain.close()
    assert calls == ["shutdown"]
    pool = OwnEngine("m:f", lambda: ThreadPoolExecutor(3))
    assert pool.size() == 3
    assert pool.greet(lambda task: task, {"a": 1}, 5) == [{"a": 1}]
    pool.close()
    with pytest.raises(RuntimeError):
        pool.submit(lambda task: task, {})
    bare: Callable[[], Any] = type("Bare", (), {"submit": lambda *_: None})
    OwnEngine("m:f", bare).close()
    assert OwnEngine("m:f", bare).size() is None


PARAMS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an endpoint": ({"endpoint_url": "https://s3.local:9000", "client_kwargs": {"region_name": "eu-1"}}, []),
    "switches": ({"anon": True, "anything": False, "config_kwargs": {"s3": {"addressing_style": "path"}}}, []),
    "keys": (
        {"key": "k", "secret": "s", "client_kwargs": {"aws_session_token": "t"}},
        ["key", "secret", "client_kwargs.aws_session_token"],
    ),
    "a number": ({"password": 123456}, ["password"]),
    "a password in an address": ({"endpoint_url": "https://u:p@host"}, ["endpoint_url"]),
    "a token in an address": ({"endpoint_url": "https://host/?token=t"}, ["endpoint_url"]),
    "what nobody knows": ({"connection_string": "AccountKey=x"}, ["connection_string"]),
}


@pytest.mark.parametrize(("params", "secret"), PARAMS.values(), ids=PARAMS)
def test_what_may_be_secret_is_refused_by_name(params: dict[str, Any], secret: list[str]) -> None:
    """What is not known to be harmless is not; values are never told."""
    assert list(secret_names(params)) == secret
    if secret:
        with pytest.raises(ConfigError, match=f"`{secret[0]}`") as refused:
            refuse_secrets(unopened(), params)
        assert not [value for value in ("123456", "AccountKey", "u:p@") if value in refused.value.message]
    else:
        refuse_secrets(unopened(), params)
