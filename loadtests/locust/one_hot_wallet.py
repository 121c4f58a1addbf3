"""One big customer: everybody spends from the same wallet at the same time."""

import random

from locust import constant, task

from loadtests.locust.service_user import RUN, ServiceUser, call_items, event


class Seat(ServiceUser):
    """One of many end users of the same customer."""

    wait_time = constant(0)
    granted = "100000"

    def on_start(self) -> None:
        super().on_start()
        self.customer = self.open_customer(f"{RUN}-hot")

    @task(10)
    def call(self) -> None:
        hold = self.authorize(self.customer)
        if hold:
            used = call_items(tokens_in=400, tokens_out=random.randint(1, 800))
            self.capture(hold, items=used)

    @task(5)
    def report(self) -> None:
        one = event(self.customer, self.key(), tokens=random.randint(1, 500))
        self.ask("POST", "/events", {"event": one})

    @task(3)
    def look(self) -> None:
        self.balances(self.customer)
