"""Servers as child processes: find, start, wait for, watch and stop them on a bare machine.

Knows nothing of wallets: `wallet_service/cli/up.py` says which servers make up the service, tests
start them one by one.
"""
