"""The command as a whole, against the small service over real HTTP."""

import json
import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.wallet_service.cli.replay.small_service import SmallService
from wallet_service.cli import main

TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\nt,1000,100\nt,2000,300\nt,3000,50\n"
COST = Decimal("0.0105")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallService]:
    """The small service, where WALLET_URL says."""
    small = SmallService()
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.give_answer()

        def do_GET(self) -> None:
            self.give_answer()

        def give_answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with one_at_a_time:
                status, answer = small.answer(self.command, self.path, body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("WALLET_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("WALLET_API_KEY", "key")
    yield small
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return path


def replay(trace: Path, *flags: str) -> Result:
    needed = ("--model", "gpt-4o", "--customers", "2", "--balance", "1", "--concurrency", "2")
    return CliRunner().invoke(main, ["replay", str(trace), *needed, *flags])


def test_the_json_is_all_there_is_on_stdout(service: SmallService, trace: Path) -> None:
    result = replay(trace, "--json")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1
    found = json.loads(result.stdout)
    assert (found["calls"], found["captured"], found["drift"]) == (3, 3, "0")
    assert Decimal(found["debited"]) == COST
    assert "calls" in result.stderr


def test_people_get_a_table(service: SmallService, trace: Path) -> None:
    result = replay(trace)
    assert result.exit_code == 0, result.output
    assert "0.0105 USD" in result.stdout


def test_only_the_first_calls_are_played_with_the_estimate_of_all(
    service: SmallService, trace: Path
) -> None:
    result = replay(trace, "--limit", "1", "--hold-factor", "2", "--json")
    assert json.loads(result.stdout)["calls"] == 1
    (hold,) = [body for path, body in service.requests if path == "POST /authorizations"]
    assert [item["properties"]["tokens"] for item in hold["authorization"]["items"]] == [1000, 300]


def test_a_bad_row_ends_the_run_before_it_begins(service: SmallService, trace: Path) -> None:
    trace.write_text(TRACE + "t,many,1\n")
    result = replay(trace)
    assert result.exit_code == 1
    assert "trace.csv:5: ContextTokens is not a number of tokens: 'many'" in result.stderr
    assert service.requests == []


def test_an_answer_that_is_no_denial_ends_the_run(service: SmallService, trace: Path) -> None:
    service.refusal = (422, {"status": 422, "error": "Unprocessable Entity"})
    result = replay(trace, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert re.search(r"Error: call \d: 422 Unprocessable Entity", result.stderr)


def test_a_service_that_is_not_there_is_told(
    tmp_path: Path, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WALLET_URL", raising=False)
    monkeypatch.delenv("WALLET_API_KEY", raising=False)
    result = replay(trace, "--data", str(tmp_path))
    assert result.exit_code == 1
    assert "no service found" in result.stderr


@pytest.mark.parametrize(
    "flags",
    [("--balance", "-1"), ("--balance", "NaN"), ("--hold-factor", "x"), ("--concurrency", "0")],
)
def test_numbers_that_cannot_be_are_refused(trace: Path, flags: tuple[str, str]) -> None:
    assert replay(trace, *flags).exit_code == 2
