"""Bluesky's private parts."""
