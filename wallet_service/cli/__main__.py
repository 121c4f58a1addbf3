"""`python -m wallet_service.cli` is `wallet`."""

from wallet_service.cli import main

main(prog_name="wallet")
