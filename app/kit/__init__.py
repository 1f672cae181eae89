"""What knows nothing of the domain."""
