"""The web worker, on a real gunicorn with two threads: slow and silent clients hold up nobody but themselves."""

import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.plain_app import LARGE
from tests.support.product import ROOT
from tests.support.servers import free_port
from tests.support.stalled import PATIENCE, Caller, get, is_served, many, post
from webapp.web_worker import connection

MANY = 40
QUICK = {"REQUEST_HEAD_SECONDS": "1.5", "REQUEST_SILENCE_SECONDS": "1.5"}
PATIENT = {"REQUEST_HEAD_SECONDS": "600", "REQUEST_SILENCE_SECONDS": "600"}
CHUNKED = "Transfer-Encoding: chunked\r\n"


@dataclass
class Server:
    """A running gunicorn."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def serving(folder: Path, *arguments: str, largest_file: int | None = None, **settings: str) -> Iterator[Server]:
    """Gunicorn with our worker, one process and two threads."""
    file, log, port = folder / "file", folder / "log", free_port()
    file.write_bytes(bytes(range(256)) * (LARGE // 256))
    command = [sys.executable, "-m", "gunicorn", "-k", "webapp.web_worker.worker.Worker", "-w", "1", "--threads", "2"]
    command += ["--no-control-socket", "--keep-alive", "30", "-b", f"127.0.0.1:{port}", *arguments]
    env = os.environ | {"DATA_DIR": str(folder), "SERVED_FILE": str(file)} | settings

    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "tests.integration.plain_app:app"], cwd=ROOT, env=env, stdout=out, stderr=out
        )
    if largest_file is not None:  # of the master, before it has started its worker
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
    try:
        _wait_until_up(port, process)
        yield Server(port, process, log)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(PATIENCE)
    assert "Traceback" not in log.read_text(), log.read_text()


def _wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if is_served(port):
                return
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.05)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that waits for ten minutes: what is served meanwhile is not served by a time limit."""
    with serving(tmp_path_factory.mktemp("patient"), **PATIENT) as server:
        yield server.port


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server whose limits are a second and a half."""
    with serving(tmp_path_factory.mktemp("quick"), **QUICK) as server:
        yield server.port


@pytest.mark.parametrize(
    "said",
    ["", "GET / HT", get()[:-2], post("/echo", 100), post("/echo", 100) + "half of it", get("/bye")],
    ids=["nothing", "half a line", "half its headers", "no body", "half a body", "never hangs up"],
)
def test_a_page_is_served_beside_forty_connections_that_go_no_further(patient: int, said: str) -> None:
    with many(patient, MANY, said):
        assert is_served(patient)


@pytest.mark.parametrize("path", ["/large", "/file", "/file?77"])
def test_a_page_is_served_beside_forty_clients_that_do_not_take_their_answers(patient: int, path: str) -> None:
    with many(patient, MANY, get(path), window=2048):
        assert is_served(patient)


def test_a_page_is_served_beside_bodies_of_unknown_length(patient: int) -> None:
    with many(patient, MANY, post("/echo", 0, more=CHUNKED).replace("Content-Length: 0\r\n", "") + "5\r\nhe"):
        assert is_served(patient)


@pytest.mark.parametrize("said", ["GET / HT", get()[:-2], post("/echo", 100)[:-2]])
def test_headers_that_do_not_come_to_an_end_are_answered_and_given_up(quick: int, said: str) -> None:
    with Caller(quick) as caller:
        assert caller.say(said).rest().startswith(b"HTTP/1.1 408 ")


def test_headers_byte_by_byte_are_given_up_too(quick: int) -> None:
    with Caller(quick) as caller:
        answer = b""
        for _ in range(100):
            caller.say("GET /" if not answer else "x")
            answer = answer or b"-"
            time.sleep(0.05)
            if select.select([caller], [], [], 0)[0]:
                answer = caller.rest()
                break
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_what_came_of_a_body_that_stops_reaches_the_app_and_nothing_behind_it_is_a_request(quick: int) -> None:
    with Caller(quick) as caller:
        first = caller.say(post("/echo", 1000)).say(b"x" * 400).answer()
        assert first.endswith(b"\r\n\r\n400")
        caller.say(b"x" * 600 + get("/echo").encode())
        assert caller.rest() == b""


def test_a_body_that_comes_in_drops_is_too_slow(quick: int) -> None:
    with Caller(quick) as caller:
        caller.say(post("/echo", 1000)).slowly(b"x" * 40, 40, 0.05)
        count = int(caller.answer().rpartition(b"\r\n\r\n")[2])
        assert 0 < count <= 40


def test_an_honest_phone_at_20_kilobytes_a_second_passes(quick: int) -> None:
    with Caller(quick) as caller:
        assert caller.say(post("/echo", 50_000)).slowly(bytes(50_000), 25, 0.1).answer().endswith(b"\r\n\r\n50000")


def test_one_of_unknown_length_passes_as_well(quick: int) -> None:
    chunks = b"".join(b"7d0\r\n" + bytes(2000) + b"\r\n" for _ in range(25)) + b"0\r\n\r\n"
    with Caller(quick) as caller:
        caller.say(get("/echo", method="POST", more=CHUNKED)).slowly(chunks, 25, 0.1)
        assert caller.answer().endswith(b"\r\n\r\n50000")


def test_a_large_body_waits_for_its_place_and_gets_it(quick: int) -> None:
    """With two threads there is one place. Who has it goes silent, and loses it."""
    head = get("/echo", method="POST", more=CHUNKED)
    with Caller(quick) as silent, Caller(quick) as honest:
        silent.say(head + "5\r\nhe")
        time.sleep(0.2)
        honest.say(head + "5\r\nhello\r\n0\r\n\r\n")
        assert is_served(quick)
        assert honest.answer().endswith(b"\r\n\r\n5")


def test_bodies_of_unknown_length_have_threads_of_their_own(tmp_path: Path) -> None:
    """Else they would, together with all else that a few threads may wait for, hold every thread."""
    with serving(tmp_path, "--threads", "1", **PATIENT) as server, Caller(server.port) as silent:
        silent.say(get("/echo", method="POST", more=CHUNKED) + "5\r\nhe")
        time.sleep(0.2)
        assert is_served(server.port)
        assert silent.say("llo\r\n0\r\n\r\n").answer().endswith(b"\r\n\r\n5")


def test_what_came_fast_is_no_licence_to_go_on_in_drops(quick: int) -> None:
    with Caller(quick) as caller:
        caller.say(post("/echo", 200_000)).say(bytes(100_000)).slowly(b"x" * 20, 20, 0.3)
        assert 100_000 <= int(caller.answer().rpartition(b"\r\n\r\n")[2]) < 100_020


def test_who_was_too_slow_is_not_waited_for_again(quick: int) -> None:
    with Caller(quick) as caller:
        caller.say(post("/echo", connection.MOST_KEPT + 1)).say(b"x" * 10)
        time.sleep(2.3)
        assert caller.say(b"x" * 10).answer().endswith(b"\r\n\r\n10")


def test_a_body_that_holds_the_disk_for_long_goes_where_others_need_it(tmp_path: Path) -> None:
    """It drips fast enough to be no stalled one; what came of it reaches the app."""
    limits = QUICK | {"MOST_ON_DISK": "450000"}
    with serving(tmp_path, **limits) as server, Caller(server.port) as holder, Caller(server.port) as other:
        holder.say(post("/echo", 1_000_000)).say(bytes(400_000)).slowly(bytes(30_000), 10, 0.25)
        other.say(post("/echo", 300_000)).slowly(bytes(300_000), 3, 0.1)
        assert other.answer().endswith(b"\r\n\r\n300000")
        assert holder.say(bytes(3000)).answer().endswith(b"\r\n\r\n430000")
        _assert_disk_is_free(server.port)


def _assert_disk_is_free(port: int) -> None:
    """Soon: an answer is out a moment before the loop hears of it."""
    deadline = time.monotonic() + PATIENCE
    with Caller(port) as caller:
        while (found := caller.say(get("/on_disk")).answer().rpartition(b"\r\n\r\n")[2]) != b"0":
            assert time.monotonic() < deadline, found
            time.sleep(0.05)


def test_what_is_sent_behind_a_request_does_not_upset_the_count_of_bytes_on_the_disk(patient: int) -> None:
    with Caller(patient) as caller:
        caller.say(get().encode() + b"x" * 200_000)
        assert b" 431 " in caller.rest()
    _assert_disk_is_free(patient)


def test_who_does_not_take_the_answer_keeps_no_request_on_the_disk(patient: int) -> None:
    with Caller(patient, window=2048) as caller:
        caller.say(post("/large", 3_000_000)).say(bytes(3_000_000)).recv(1)
        _assert_disk_is_free(patient)


@pytest.mark.parametrize("length", [10, 70_000, 3_000_000, connection.MOST_KEPT + 1])
def test_bodies_of_every_size_arrive(patient: int, length: int) -> None:
    with Caller(patient) as caller:
        caller.say(post("/echo", length)).say(bytes(length))
        assert caller.answer().endswith(f"\r\n\r\n{length}".encode())
        assert caller.say(get()).answer().endswith(b"hello")


def test_a_body_that_ends_early_reaches_the_app(patient: int) -> None:
    with Caller(patient) as caller:
        caller.say(post("/echo", 1000)).say(b"x" * 300).shutdown(1)
        assert caller.answer().endswith(b"\r\n\r\n300")


def test_requests_behind_each_other_are_answered_in_their_order(patient: int) -> None:
    with Caller(patient) as caller:
        caller.say(get() + post("/echo", 3) + "abc" + get("/echo") + get())
        answers = [caller.answer().rpartition(b"\r\n\r\n")[2] for _ in range(4)]
        assert answers == [b"hello", b"3", b"0", b"hello"]


def test_a_connection_outlives_a_body_that_the_app_did_not_read(patient: int) -> None:
    """Its answer says keep-alive, so a proxy sends the next request on it."""
    with Caller(patient) as caller:
        caller.say(post("/", 300_000)).say(b"x" * 300_000)
        assert caller.answer().endswith(b"hello")
        time.sleep(0.2)
        assert caller.say(post("/echo", 3) + "abc").answer().endswith(b"\r\n\r\n3")


def test_a_second_request_may_come_in_halves(patient: int) -> None:
    with Caller(patient) as caller:
        caller.say(get() + "GET /ec")
        assert caller.answer().endswith(b"hello")
        assert caller.say("ho HTTP/1.1\r\nHost: localhost\r\n\r\n").answer().endswith(b"\r\n\r\n0")


def test_who_asks_whether_to_go_on_is_told_so_once(patient: int) -> None:
    with Caller(patient) as caller:
        caller.say(post("/echo", 5, more="Expect: 100-continue\r\n"))
        assert caller.answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert caller.say("hello").answer().startswith(b"HTTP/1.1 200")


def test_headers_without_end_are_refused(patient: int) -> None:
    with Caller(patient) as caller:
        assert (
            caller.say("GET / HTTP/1.1\r\nX: " + "x" * (connection.MOST_HEAD + 1)).rest().startswith(b"HTTP/1.1 431 ")
        )


@pytest.mark.parametrize(
    "said",
    [
        "GET / HTTP/1.1\nHost: localhost\n\n\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\r\n\r\n",
        get(more="Content-Length: 5\r\nContent-Length: 6\r\n") + "hello",
        get(more="Content-Length: -1\r\n"),
        get(more="Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n",
        get(more="Content-Length : 5\r\n"),
    ],
)
def test_what_is_no_request_is_refused_and_closed(patient: int, said: str) -> None:
    with Caller(patient) as caller:
        assert not caller.say(said).rest().startswith(b"HTTP/1.1 2")


@pytest.mark.parametrize("path", ["/large", "/file", "/stream"])
def test_a_slow_reader_gets_the_whole_answer(patient: int, path: str) -> None:
    with Caller(patient, window=4096) as caller:
        whole = caller.say(get(path, more="Connection: close\r\n")).rest()
    body = whole.partition(b"\r\n\r\n")[2]
    assert body.count(b"y") == LARGE if path == "/stream" else len(body) == LARGE


def test_a_part_of_a_file_is_that_part(patient: int) -> None:
    with Caller(patient) as caller:
        body = caller.say(get(f"/file?{LARGE - 5}")).answer().rpartition(b"\r\n\r\n")[2]
        assert body == bytes(range(251, 256))
        assert caller.say(get()).answer().endswith(b"hello")


def test_an_answer_that_is_not_taken_is_given_up(quick: int) -> None:
    with Caller(quick, window=2048) as caller:
        caller.say(get("/large"))
        time.sleep(4)
        with pytest.raises(ConnectionResetError):
            caller.rest()


def test_a_large_body_without_a_place_is_told_to_come_again(tmp_path: Path) -> None:
    """The place is taken for as long as its owner is honest: nobody is cut off for others."""
    head = get("/echo", method="POST", more=CHUNKED)
    limits = PATIENT | {"REQUEST_HEAD_SECONDS": "1"}
    with serving(tmp_path, **limits) as server, Caller(server.port) as first, Caller(server.port) as second:
        first.say(head + "5\r\nhe")
        time.sleep(0.2)
        answer = second.say(head + "5\r\nhe").rest()
        assert answer.startswith(b"HTTP/1.1 503 ") and b"Retry-After" in answer
        assert first.say("llo\r\n0\r\n\r\n").answer().endswith(b"\r\n\r\n5")


def test_a_disk_without_room_loses_no_body(tmp_path: Path) -> None:
    with serving(tmp_path, largest_file=200_000, **PATIENT) as server, Caller(server.port) as caller:
        caller.say(post("/echo", 1_000_000)).say(bytes(1_000_000))
        assert caller.answer().endswith(b"\r\n\r\n1000000")
        assert caller.say(get()).answer().endswith(b"hello")


def test_where_there_are_too_many_connections_the_idle_ones_go(tmp_path: Path) -> None:
    with serving(tmp_path, "--worker-connections", "20", **PATIENT) as server, Caller(server.port) as busy:
        busy.say(post("/echo", 10) + "hello")
        with many(server.port, 60, ""), many(server.port, 10, "GET / HT"):
            assert is_served(server.port)
            assert busy.say("hello").answer().endswith(b"\r\n\r\n10")


def test_a_body_that_is_coming_in_is_waited_for_when_the_server_stops(tmp_path: Path) -> None:
    with serving(tmp_path, **PATIENT) as server, Caller(server.port) as caller, Caller(server.port) as idle:
        caller.say(post("/echo", 10) + "hello")
        idle.say(get()).answer()
        server.process.send_signal(signal.SIGTERM)
        assert idle.rest() == b""
        answer = caller.say("hello").answer()
        assert answer.endswith(b"\r\n\r\n10") and b"Connection: close" in answer
        assert caller.rest() == b""
        assert server.process.wait(PATIENCE) == 0
