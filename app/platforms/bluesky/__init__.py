"""Bluesky: the adapter, its wire models, paginators, records, sessions and errors; the translation."""
