"""What platforms tell us by themselves: taken, stored, applied, and held against what polls find."""
