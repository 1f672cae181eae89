"""Telegram's private parts."""
