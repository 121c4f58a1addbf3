"""Metering without a gate: usage that has happened comes in batches, for many customers at once."""

import random

from locust import between, task

from loadtests.locust.service_user import ServiceUser, event

_SIZE = 100


class Collector(ServiceUser):
    """Sends what it has collected; now and then the same batch twice, as after a lost answer."""

    wait_time = between(0.2, 1)

    def _batch(self) -> dict[str, object]:
        return {
            "events": [
                event(self.customer, self.key(), tokens=random.randint(1, 2000))
                for _ in range(_SIZE)
            ]
        }

    @task(10)
    def send(self) -> None:
        answer = self.ask("POST", "/events/batch", self._batch())
        if answer:
            assert len(answer["events"]) == _SIZE

    @task(1)
    def send_twice(self) -> None:
        batch = self._batch()
        first = self.ask("POST", "/events/batch", batch)
        again = self.ask("POST", "/events/batch", batch, name="/events/batch (again)")
        if first and again:
            assert [one["lago_id"] for one in first["events"]] == [
                one["lago_id"] for one in again["events"]
            ], "a repeat got another answer"

    @task(5)
    def send_one(self) -> None:
        one = event(self.customer, self.key(), tokens=random.randint(1, 2000))
        self.ask("POST", "/events", {"event": one})
