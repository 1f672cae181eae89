"""Customers' words and the agency's answers, from all platforms alike."""
