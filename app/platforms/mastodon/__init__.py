"""What Mastodon's adapter is made of: the shapes of its answers, and their translation."""
