"""Tracked links, and who followed them: people and bots apart."""
