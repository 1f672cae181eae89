"""Instep."""
