"""The shell blocks of README, tutorial and how-to pages, pasted into a shell in their order."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import PATIENCE
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
HELPERS = "docs/tutorial/first-hour.md"
PAGES = (
    "README.md",
    "docs/tutorial/first-hour.md",
    "docs/how-to/accept-usage-events.md",
    "docs/how-to/bill-customers.md",
    "docs/how-to/refund-and-credit.md",
    "docs/how-to/close-the-month.md",
    "docs/how-to/limit-spending.md",
    "docs/how-to/gate-features.md",
    "docs/how-to/native-assets.md",
    "docs/how-to/shape-prices.md",
    "docs/how-to/stream-with-partial-captures.md",
    "docs/how-to/tax-your-invoices.md",
    "docs/how-to/try-a-price-change.md",
)
REFUSALS = {
    HELPERS: ["402"],
    "docs/how-to/gate-features.md": ["402", "402"],
    "docs/how-to/limit-spending.md": ["402"],
}
STOP_S_MAX = 60
SHELL_S_MAX = 600

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="the pages use curl")


@pytest.fixture(scope="module")
def checkout():
    """A folder as a reader has it: `./wallet`, and a running service in `.wallet`."""
    path = Path(tempfile.mkdtemp(prefix="wallet-pages-"))
    launcher = path / "wallet"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m wallet_service.cli "$@"\n')
    launcher.chmod(0o755)
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [launcher, "up", "--port", str(port)],
        cwd=path,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout.readline().startswith("ready ")
        yield path
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S_MAX)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            shutil.rmtree(path, ignore_errors=True)


def environment() -> dict[str, str]:
    """The environment of a plain shell, on a machine that may be busy."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("WALLET_")}
    patience = {f"WALLET_{name.upper()}": str(value) for name, value in PATIENCE.items()}
    # This one is bounded; the others are as in all tests.
    patience["WALLET_HOT_BALANCES_WAIT_MS"] = "1000"
    return {**kept, **patience, "PYTHONPATH": str(ROOT)}


def blocks(page: str) -> list[str]:
    """The blocks of a page that are there to be pasted."""
    text = (ROOT / page).read_text()
    return re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_happens_when_its_blocks_are_pasted(page, checkout):
    """Each amount in the text is one that the service has answered."""
    pasted = [*blocks(HELPERS)[:1], *blocks(page)]
    done = subprocess.run(
        ["sh"],
        input="set -u\n" + "\n".join(pasted),
        cwd=checkout,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SHELL_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "curl:" not in done.stderr
    refusals = re.findall(r'"status":(\d+),"error".*', done.stdout)
    assert refusals == REFUSALS.get(page, []), done.stdout
    prose = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.DOTALL | re.MULTILINE)
    for amount in re.findall(r"`(\d+\.\d+)`", prose):
        assert f'"{amount}"' in done.stdout, amount
    for said in re.findall(r'`("[a-z_]+":(?:"[^"`]*"|true))`', prose):
        assert said in done.stdout, said
