"""Driving with wrk: Lua makes the requests and says as one line of JSON what was seen."""

import os
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

from msgspec import Struct, json

from loadtests.speed.measured import Measured
from loadtests.speed.shapes import PLACEHOLDERS, Shape, parts
from loadtests.speed.stack import Place

_SCRIPT = Path(__file__).with_name("requests.lua").read_text()


class _Result(Struct):
    """What the script prints at the end; times in microseconds."""

    requests: int
    microseconds: int
    p50: int
    p99: int
    refused: int
    broken: int
    held: int
    captured: int


def find() -> str | None:
    """Where wrk is, if it is anywhere."""
    return shutil.which("wrk")


def run(place: Place, shape: Shape, *, connections: int, seconds: float) -> Measured:
    """Keep so many connections busy for so long."""
    with tempfile.TemporaryDirectory(prefix="wallet-bench-wrk-") as folder:
        path = Path(folder) / "requests.lua"
        path.write_text(script(shape, seed=random.randrange(1, 2**31)))
        # wrk wants whole seconds; more threads than this only take cores from what is measured.
        threads = max(1, min(connections, (os.cpu_count() or 1) // 4))
        done = subprocess.run(
            [
                *(
                    "wrk",
                    "-t",
                    str(threads),
                    "-c",
                    str(connections),
                    "-d",
                    f"{max(1, seconds):.0f}s",
                ),
                *("-s", str(path), "--timeout", "10s", f"http://{place.host}:{place.port}"),
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    return measured(done.stdout, is_paired=shape.then is not None)


def measured(output: str, *, is_paired: bool) -> Measured:
    """Read what wrk and the script printed."""
    line = next(line for line in output.splitlines() if line.startswith("RESULT "))
    result = json.decode(line.removeprefix("RESULT "), type=_Result)
    answered = result.requests - result.refused
    return Measured(
        seconds=result.microseconds / 1e6,
        requests=result.requests,
        errors=result.refused + result.broken,
        p50_ms=result.p50 / 1000,
        p99_ms=result.p99 / 1000,
        done=result.held if is_paired else answered,
        captured=result.captured,
        is_paired=is_paired,
        is_drained=False,
    )


def script(shape: Shape, *, seed: int) -> str:
    """The Lua that makes the requests of a shape."""
    second = _table(shape.then) if shape.then else "nil"
    return (
        f"local seed, customers = {seed}, {shape.customers}\n"
        f"local first, second = {_table(shape)}, {second}\n{_SCRIPT}"
    )


def _table(shape: Shape) -> str:
    return (
        f"{{method = {_quoted(shape.method)}, path = {_template(shape.path)}, "
        f"head = {_quoted(shape.head)}, body = {_template(shape.body)}}}"
    )


def _template(template: str) -> str:
    cut = (
        str(PLACEHOLDERS.index(part) + 1) if part in PLACEHOLDERS else _quoted(part)
        for part in parts(template)
    )
    return "{" + ", ".join(cut) + "}"


def _quoted(text: str) -> str:
    """Text as Lua writes it."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\r", "\\r").replace("\n", "\\n") + '"'
