"""Goals that the agency agrees on with the client: what is promised, what was agreed, and how far it is."""
