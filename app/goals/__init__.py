"""Goals agreed with the client: how far they are, and where they are going."""
