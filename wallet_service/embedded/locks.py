"""Lock files that name a process: is it still there, or did a crash leave the file behind."""

import contextlib
import os
from pathlib import Path


def holder(lock_file: Path) -> int | None:
    """Return the pid that a lock file names in its first line."""
    try:
        return int(lock_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def is_running_in(pid: int, folder: Path) -> bool:
    """Say whether this process lives and works in this folder.

    A zombie does not live: where process 1 does not reap, the dead stay visible. And after a
    restart of a container the number may belong to somebody else.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():  # no /proc here (macOS): the number has to do
        return True
    try:
        state = stat.read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    if state in {"Z", "X"}:
        return False
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == folder.resolve()
    except OSError:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"


def remove_stale(lock_files: list[Path], folder: Path) -> int | None:
    """Remove lock files that nobody holds; return the holder's pid if there is one."""
    for lock_file in lock_files:
        pid = holder(lock_file)
        if pid is not None and is_running_in(pid, folder):
            return pid
    for lock_file in lock_files:
        with contextlib.suppress(FileNotFoundError):
            lock_file.unlink()
    return None
