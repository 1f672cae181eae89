"""Client projects: the brief, the zone, the working hours."""
