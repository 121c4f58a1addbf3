"""Prepaid wallets as a service: ask before a call, hold the money, settle with what was used.

The doors are `api` (HTTP), `cli`, `jobs` and `client`. What they share lies beside them, a module a
thing: decided in `decision`, committed by `committer`, shown from `hot_balances`; everything that
is open is opened in `services`. Needs `invoicing`, `ledger` and `rating`; none of them needs this.
"""
