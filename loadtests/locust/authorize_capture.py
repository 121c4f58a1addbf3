"""A gateway in front of language models: hold the bound, make the call, settle with the usage."""

import random

from locust import between, task

from loadtests.locust.service_user import ServiceUser, call_items


class Gateway(ServiceUser):
    """Calls for one customer after another; some calls fail, and their holds are let go."""

    wait_time = between(0.05, 0.3)

    @task(20)
    def call(self) -> None:
        hold = self.authorize(self.customer)
        if hold:
            used = call_items(tokens_in=random.randint(1, 400), tokens_out=random.randint(1, 800))
            self.capture(hold, items=used)

    @task(2)
    def call_that_streams(self) -> None:
        """Captures in parts while the answer is being written, asking for more in between."""
        hold = self.authorize(self.customer)
        if not hold:
            return
        self.capture(hold, final=False, items=call_items(tokens_in=400, tokens_out=300))
        asked = {"extend": {"transaction_id": self.key(), "amount": "0.01"}}
        path = f"/authorizations/{hold}/extend"
        self.ask("POST", path, asked, name="/authorizations/{id}/extend")
        self.capture(hold, items=call_items(tokens_in=1, tokens_out=random.randint(1, 900)))

    @task(2)
    def call_that_fails(self) -> None:
        hold = self.authorize(self.customer)
        if hold:
            path = f"/authorizations/{hold}/void"
            self.ask("POST", path, name="/authorizations/{id}/void")

    @task(4)
    def look(self) -> None:
        self.balances(self.customer)
