"""Work that nobody asks for: expiry, repair, clean-up.

`schedule` has the one table of jobs, and `leader` sees to it that one process runs them.
"""
