"""Faults planted in real adapters, each with the check that must detect it and the message expected."""

from typing import TypeAlias

from app.platforms.contract import Adapter

Planted: TypeAlias = tuple[str, type[Adapter], str]
"""The check's name, the faulty adapter, and a regular expression of the check's message."""
