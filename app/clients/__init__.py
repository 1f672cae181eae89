"""The clients' people: contacts, the links by which they read and decide, and what they stated."""
