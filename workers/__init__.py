"""The door through which time and jobs come in. It decides nothing."""
