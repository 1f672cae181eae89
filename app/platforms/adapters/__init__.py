"""One file per platform, each with an `ADAPTER`."""
