"""What past periods would have cost under another plan. Only reads: nothing is charged or changed.

Each subscription's usage is priced twice, period by period, as an invoice rates it: by the versions
that it was rated with, and by the plan that is tried. `events` reads the usage and says what it
counts for, `counting` counts it by price and period, `fees` adds what the periods cost beside it,
`comparing` puts both prices side by side.
"""

from wallet_service.rerating.answers import Comparison, Cost, Question, Unpriced
from wallet_service.rerating.comparing import compare

__all__ = ["Comparison", "Cost", "Question", "Unpriced", "compare"]
