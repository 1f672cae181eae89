"""Generated clients of the API: `python -m tests.clients`."""
