"""Tracked links and their clicks, of people and of bots."""
