"""Counters of posts and communities: snapshots, kept for ever, and their daily rollups."""
