"""Faults planted in real adapters, each with the check that has to find it and the words with which it does."""

from typing import TypeAlias

from app.platforms.contract import Adapter

Planted: TypeAlias = tuple[str, type[Adapter], str]
"""The check's name, the adapter, and what the check says (a regular expression)."""
