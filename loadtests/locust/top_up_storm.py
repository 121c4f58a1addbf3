"""A promotion, or a card charged late for everybody: credits come in while they are being spent."""

from locust import between, task

from loadtests.locust.service_user import ServiceUser, call_items


class Buyer(ServiceUser):
    """Begins with next to nothing, so much is denied until money comes."""

    wait_time = between(0.05, 0.3)
    granted = "0.01"

    @task(4)
    def buy(self) -> None:
        """A purchase, and the word of the payment provider, which comes twice now and then."""
        bought = self.ask(
            "POST",
            "/wallet_transactions",
            {
                "wallet_transaction": {
                    "wallet_id": self.wallet_id,
                    "paid_credits": "0.05",
                    "transaction_id": self.key(),
                }
            },
        )
        for one in bought["wallet_transactions"] if bought else ():
            path = f"/wallet_transactions/{one['lago_id']}/settle"
            for _ in range(2):
                self.ask("POST", path, name="/wallet_transactions/{id}/settle")

    @task(1)
    def get_a_gift(self) -> None:
        self.ask(
            "POST",
            "/wallet_transactions",
            {
                "wallet_transaction": {
                    "wallet_id": self.wallet_id,
                    "granted_credits": "0.02",
                    "transaction_id": self.key(),
                }
            },
        )

    @task(6)
    def spend(self) -> None:
        hold = self.authorize(self.customer)
        if hold:
            self.capture(hold, items=call_items(tokens_in=300, tokens_out=700))

    @task(4)
    def look(self) -> None:
        self.balances(self.customer)
