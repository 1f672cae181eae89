"""Mastodon 4.4's REST API, as far as a back office reads and writes it."""
