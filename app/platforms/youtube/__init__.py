"""YouTube's private parts."""
