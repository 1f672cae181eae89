"""Communities on social platforms: connecting them, watching them, what they publish."""
