"""Where and what was measured."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from loadtests.speed.stack import ROOT


class Machine(Struct, frozen=True, kw_only=True):
    """What figures depend on most."""

    cores: int
    model: str
    memory_gb: float
    python: str
    system: str
    load: float
    """Processes that wanted a core in the minute before."""
    commit: str
    """With a `+` where files differ from it."""


def describe() -> Machine:
    """This machine and this checkout."""
    has_sets = hasattr(os, "sched_getaffinity")
    is_changed = bool(_git("status", "--porcelain"))
    return Machine(
        cores=len(os.sched_getaffinity(0)) if has_sets else os.cpu_count() or 1,
        model=_model(),
        memory_gb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        load=round(os.getloadavg()[0], 2),
        commit=_git("rev-parse", "--short", "HEAD") + ("+" if is_changed else ""),
    )


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _git(*arguments: str) -> str:
    program = shutil.which("git")
    if not program or not (ROOT / ".git").exists():
        return ""
    command = [program, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    return done.stdout.strip()
