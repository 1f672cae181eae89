"""Mastodon: the adapter, its wire models, lenient lists, paginator, limits and errors; the translation."""
