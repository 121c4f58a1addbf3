"""What an operator sees is JSON, a line each, whoever writes it."""

import json
import subprocess
import sys

PROGRAM = """
import asyncio, logging
from wallet_service.observability import configure_logging

configure_logging()
configure_logging()
scheduler = logging.getLogger("apscheduler.scheduler")
scheduler.info("too little to be told")
scheduler.warning('Execution of job "%s" skipped', "bill_due")
try:
    secret = 1 / 0
except ZeroDivisionError:
    logging.getLogger("asyncio").exception("Task exception was never retrieved")
scheduler.warning("%d", "no number")
"""


def test_what_libraries_warn_of_is_a_line_of_json_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    skipped, failed = [json.loads(line) for line in done.stderr.splitlines() if line[0] == "{"]
    assert skipped.pop("timestamp")
    assert skipped == {
        "event": 'Execution of job "bill_due" skipped',
        "logger": "apscheduler.scheduler",
        "level": "warning",
    }
    assert (failed["logger"], failed["level"]) == ("asyncio", "error")
    assert failed["exception"][0]["exc_type"] == "ZeroDivisionError"
