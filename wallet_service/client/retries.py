"""When a call is worth repeating, and how long to wait before."""

from msgspec import Struct

from .errors import Unavailable

__all__ = ["Retries"]


class Retries(Struct, frozen=True, kw_only=True):
    """How patient a client is. Every repetition carries the same key, so it has one effect."""

    attempts_max: int = 4
    wait_s_min: float = 0.1
    wait_s_max: float = 5.0
    retry_after_s_max: float = 30.0

    def wait_s(self, error: Unavailable, *, attempt: int, chance: float) -> float | None:
        """Say how long to wait after the given attempt (the first is 1), or None to give up.

        ``chance`` in [0, 1) spreads clients that failed together. The service's Retry-After is
        kept; where it is longer than we would wait, we give up rather than ask too early.
        """
        if attempt >= self.attempts_max or not error.should_retry:
            return None
        backoff_s = min(self.wait_s_max, self.wait_s_min * 2 ** (attempt - 1))
        if error.retry_after_s is None:
            return backoff_s * (1 + chance) / 2
        if error.retry_after_s > self.retry_after_s_max:
            return None
        return error.retry_after_s + backoff_s * chance
