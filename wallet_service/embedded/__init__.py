"""Servers as child processes, for one machine without any installed: find, start, wait for, watch,
stop.

Knows nothing of wallets: `wallet_service/cli/up.py` says which servers make up the service, tests
start them one by one.
"""
