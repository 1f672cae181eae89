"""What YouTube's adapter is made of: the shapes of its answers, its errors, its lists, their translation."""
