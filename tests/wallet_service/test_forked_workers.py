"""Forked processes: replaced, told of, and stopped, whatever they do. Each test is a program."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import TextIO

import pytest

from wallet_service.embedded.process import how_it_ended
from wallet_service.forked_workers import PAUSE_S_MAX, next_pause

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends the children")

PATIENCE_S = 30  # of the tests, with a busy machine

_BEGIN = """
import os, signal, socket, sys, time
from wallet_service.forked_workers import Work, Workers

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)

def steady():
    print("steady", os.getpid(), flush=True)
    time.sleep(60)

def broken():
    return 7

def stubborn():
    listener.close()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("stubborn", os.getpid(), flush=True)
    time.sleep(60)

def workers(*works, **more):
    named = [Work(work.__name__, work) for work in works]
    Workers(named, listener=listener, operator=int(sys.argv[1]), **more).run()
"""


@contextmanager
def program(end: str) -> Generator[tuple[subprocess.Popen[str], TextIO]]:
    """Run a program with workers, and what it tells the operator; nothing of it is left after."""
    reading, writing = os.pipe()
    with (
        os.fdopen(reading) as told,
        subprocess.Popen(
            (sys.executable, "-c", _BEGIN + end, str(writing)),
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=(writing,),
            start_new_session=True,
        ) as process,
    ):
        os.close(writing)
        try:
            yield process, told
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_one_that_cannot_start_is_told_of_and_keeps_no_other_from_being_replaced():
    # A pause that is longer than the test: the other is replaced meanwhile.
    end = "workers(broken, steady, patience_s=60, pause_s_min=60)"
    with program(end) as (process, told):
        process.stdout.readline()
        steady = int(process.stdout.readline().split()[1])
        assert told.readline() == "broken ended with code 7; starting it again\n"
        os.kill(steady, signal.SIGKILL)
        assert told.readline() == "steady was ended by SIGKILL; starting it again\n"
        process.terminate()  # both wait for their turn, and need not wait for its end
        assert process.wait(PATIENCE_S) == 0


def test_one_that_hangs_keeps_neither_the_port_nor_for_ever_the_parent():
    with program("workers(stubborn, patience_s=60)") as (process, told):
        port = int(process.stdout.readline())
        stubborn = int(process.stdout.readline().split()[1])
        process.terminate()
        assert told.read() == ""  # it lets go of both, of this one last
        with socket.create_server(("127.0.0.1", port)):
            assert process.poll() is None
        process.send_signal(signal.SIGALRM)
        assert process.wait(PATIENCE_S) == 0
        assert not Path(f"/proc/{stubborn}").exists()


def test_patience_ends():
    with program("workers(stubborn, patience_s=0.1)") as (process, _):
        process.stdout.readline()
        assert process.stdout.readline().startswith("stubborn ")
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_a_signal_right_before_a_fork_leaves_nobody_who_was_not_told():
    end = """
block = signal.pthread_sigmask
def late(how, numbers):
    if how == signal.SIG_BLOCK:
        os.kill(os.getpid(), signal.SIGTERM)
    return block(how, numbers)
signal.pthread_sigmask = late
workers(steady, patience_s=60)
"""
    with program(end) as (process, _):
        assert process.wait(PATIENCE_S) == 0
        process.stdout.readline()
        assert process.stdout.readline() == ""


def test_pauses_grow_until_one_lasts():
    pauses = [0.0]
    while pauses[-1] < PAUSE_S_MAX:
        pauses.append(next_pause(0.0, pauses[-1]))
    assert pauses[:4] == [0.0, 0.1, 0.2, 0.4]
    assert all(before < after for before, after in pairwise(pauses))
    assert next_pause(PAUSE_S_MAX, PAUSE_S_MAX) == PAUSE_S_MAX
    assert next_pause(PAUSE_S_MAX + 0.1, PAUSE_S_MAX) == 0.0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with code 0"),
        (-9, "was ended by SIGKILL"),
        (-40, "was ended by signal 40"),
    ],
)
def test_every_end_has_words(code, words):
    assert how_it_ended(code) == words
