"""Odnoklassniki's adapter: signature, error table, wire models, translation, cursors."""
