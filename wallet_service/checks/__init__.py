"""What must always hold, as functions that look for what does not: for tests, operators and jobs.

`snapshot` brings everything into one view, wherever the book is kept; `invariants` has a function
an invariant, `rerating` the one that prices every event again; `running` runs them all.
"""

from wallet_service.checks.findings import Finding
from wallet_service.checks.running import CHECKS, run_checks

__all__ = ["CHECKS", "Finding", "run_checks"]
