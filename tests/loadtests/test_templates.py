"""Requests as templates, filled in by whoever drives."""

import itertools
import json
import re

import pytest

from loadtests.speed import shapes, wrk
from loadtests.speed.client import Writer
from loadtests.speed.shapes import Shape

SHAPES = {
    "bare": shapes.bare(),
    "authorize": shapes.authorize("key", 10),
    "an amount": shapes.authorize_amount("key", 10),
    "pair": shapes.pair("key", 10),
    "check": shapes.check("key", 10),
    "estimate": shapes.estimate("key", 10),
    "balances": shapes.balances("key", 10),
    "event": shapes.event("key", 10),
    "batch": shapes.batch("key", 10, size=3),
}


def test_a_template_is_cut_at_its_placeholders_and_nothing_is_lost():
    assert shapes.parts("a{key}b{customer}") == ["a", "{key}", "b", "{customer}"]
    assert shapes.parts("{id}{id}") == ["{id}", "{id}"]
    assert shapes.parts('{"plain": {}}') == ['{"plain": {}}']
    assert shapes.parts("") == []


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_message_is_whole_and_says_its_length(shape: Shape):
    writer = Writer(shape, seed=7, keys=itertools.count())
    for message in (writer.message(), writer.message()):
        head, _, body = message.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        assert re.fullmatch(rf"{shape.method} /\S+ HTTP/1\.1", first)
        assert int(headers["Content-Length"]) == len(body)
        assert not re.search(rb"\{(key|customer|id)\}", message)
        if body:
            json.loads(body)


def test_no_two_requests_or_events_have_the_same_key():
    writer = Writer(shapes.batch("key", 10, size=3), seed=7, keys=itertools.count())
    sent = [writer.message().partition(b"\r\n\r\n")[2] for _ in range(5)]
    keys = [one["transaction_id"] for body in sent for one in json.loads(body)["events"]]
    assert len(set(keys)) == len(keys) == 15


def test_customers_are_those_that_were_seeded():
    writer = Writer(shapes.balances("key", 3), seed=7, keys=itertools.count())
    asked = {re.search(rb"/customers/(\w+)/", writer.message())[1].decode() for _ in range(100)}
    assert asked == {shapes.customer_name(number) for number in range(3)}


def test_the_second_of_a_pair_is_about_what_the_first_was_answered():
    capture = shapes.pair("key", 10).then
    message = Writer(capture, seed=7, keys=itertools.count()).message("the-id")
    assert message.startswith(b"POST /api/v1/authorizations/the-id/capture HTTP/1.1\r\n")


def test_quotes_and_line_ends_survive_in_lua():
    script = wrk.script(Shape(path="/", body='{"a": "b\\n"}'), seed=1)
    assert r'"{\"a\": \"b\\n\"}"' in script
    assert r"Host: 127.0.0.1\r\n" in script
