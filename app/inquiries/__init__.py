"""Customers' messages and the agency's replies, from all platforms."""
