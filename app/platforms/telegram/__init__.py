"""Telegram: the adapter, its wire models and errors, and the translation to the contract."""
