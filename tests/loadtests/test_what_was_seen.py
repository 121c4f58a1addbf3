"""Answers, as they come from a socket or from wrk, and what several processes saw together."""

import pytest

from loadtests.speed import wrk
from loadtests.speed.client import Seen, id_in, read_reply, together

ANSWER = b'HTTP/1.1 200 OK\r\nserver: x\r\nContent-Length: 12\r\n\r\n{"id":"abc"}'


def test_an_answer_is_read_when_all_of_it_is_there():
    for end in range(len(ANSWER)):
        assert read_reply(ANSWER[:end]) is None
    reply = read_reply(ANSWER + b"HTTP/1.1 402")
    assert (reply.status, reply.body, reply.length) == (200, b'{"id":"abc"}', len(ANSWER))


def test_another_status_is_seen():
    assert read_reply(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").status == 503


def test_an_answer_without_a_length_is_refused():
    with pytest.raises(ValueError, match="length"):
        read_reply(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")


def test_the_first_id_of_an_answer_is_found():
    assert id_in(b'{"authorization":{"id":"0196-ab","grants":[{"id":"other"}]}}') == "0196-ab"


def test_processes_are_added_up_and_percentiles_are_those_of_all():
    fast = Seen(latencies_us=[1000] * 90, done=90, seconds=2.0)
    slow = Seen(latencies_us=[9000] * 10, errors=1, done=9, seconds=2.5)
    both = together([fast, slow])
    assert (both.requests, both.errors, both.done, both.seconds) == (100, 1, 99, 2.5)
    assert (both.p50_ms, both.p99_ms) == (1.0, 9.0)
    assert both.rate == pytest.approx(99 / 2.5)


def test_a_process_that_saw_nothing_is_no_accident():
    assert together([Seen(seconds=1.0)]).rate == 0


RESULT = (
    "Running 1s test @ http://127.0.0.1:1\n"
    'RESULT {"requests":110,"microseconds":2000000,"p50":1500,"p99":9900,"refused":10,"broken":1,'
    '"held":60,"captured":40}\n'
)


def test_what_wrk_says_of_single_requests():
    seen = wrk.measured(RESULT, is_paired=False)
    assert (seen.requests, seen.done, seen.errors) == (110, 100, 11)
    assert (seen.p50_ms, seen.p99_ms, seen.rate, seen.is_drained) == (1.5, 9.9, 50.0, False)


def test_what_wrk_says_of_pairs():
    seen = wrk.measured(RESULT, is_paired=True)
    assert (seen.done, seen.captured, seen.rate) == (60, 40, 20.0)
