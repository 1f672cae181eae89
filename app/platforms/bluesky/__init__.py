"""What Bluesky's adapter is made of: shapes, translation, walks, records, sessions, errors."""
