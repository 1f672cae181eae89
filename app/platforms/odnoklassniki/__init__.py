"""Odnoklassniki's private parts."""
