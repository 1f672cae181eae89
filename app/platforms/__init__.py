"""Social platforms: what an adapter is, and one file for each."""
