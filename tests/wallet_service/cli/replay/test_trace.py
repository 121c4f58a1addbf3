from decimal import Decimal
from pathlib import Path

import pytest

from wallet_service.cli.replay.trace import BadTrace, Call, output_estimate, read_trace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


@pytest.fixture
def write(tmp_path: Path):
    def write(content: str | bytes) -> Path:
        path = tmp_path / "trace.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_calls_are_read_in_their_order(write) -> None:
    path = write(HEADER + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,0\n")
    assert read_trace(path) == [Call(374, 44), Call(396, 0)]


def test_line_ends_of_windows_a_byte_order_mark_and_empty_lines_do_no_harm(write) -> None:
    content = b"\xef\xbb\xbfTIMESTAMP,ContextTokens,GeneratedTokens\r\nt,1,2\r\n\r\nt, 3 ,4"
    assert read_trace(write(content)) == [Call(1, 2), Call(3, 4)]


def test_columns_are_found_by_their_titles(write) -> None:
    path = write("GeneratedTokens,Region,TIMESTAMP,ContextTokens\n44,eu,t,374\n")
    assert read_trace(path) == [Call(374, 44)]


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("t,1,2\nt,x,2\n", "trace.csv:3: ContextTokens is not a number of tokens: 'x'"),
        ("t,1,-2\n", "trace.csv:2: GeneratedTokens is not a number of tokens: '-2'"),
        ("t,1,2.5\n", "trace.csv:2: GeneratedTokens is not a number of tokens: '2.5'"),
        ("t,1,\n", "trace.csv:2: GeneratedTokens is not a number of tokens: ''"),
        ("t,1,٣\n", "trace.csv:2: GeneratedTokens is not a number of tokens: '٣'"),
        ("t,1,2\n\nt,1\n", "trace.csv:4: 2 columns where the header has 3"),
        ("t,1,2,3\n", "trace.csv:2: 4 columns where the header has 3"),
        ("t,1," + "9" * 5000, "trace.csv:2: GeneratedTokens is not a number of tokens: '9"),
        ("", "trace.csv: there are no calls in it"),
    ],
)
def test_a_bad_row_is_named_by_its_line(write, rows: str, complaint: str) -> None:
    with pytest.raises(BadTrace) as found:
        read_trace(write(HEADER + rows))
    assert str(found.value).startswith(complaint)


@pytest.mark.parametrize("content", ["", "a,b,c\n1,2,3\n", "\x00\xff\n"])
def test_another_kind_of_file_is_refused(write, content: str) -> None:
    with pytest.raises(BadTrace, match=r"trace.csv:1: no column TIMESTAMP"):
        read_trace(write(content))


@pytest.mark.parametrize(
    ("factor", "estimate"),
    [("1", 3), ("0", 0), ("0.5", 2), ("1.2", 3), ("1.2000000000000000000000001", 4), ("100", 250)],
)
def test_the_estimate_is_the_mean_times_the_factor_rounded_up(factor: str, estimate: int) -> None:
    calls = [Call(9, 1), Call(9, 4)]  # 2.5 on average
    assert output_estimate(calls, factor=Decimal(factor)) == estimate
