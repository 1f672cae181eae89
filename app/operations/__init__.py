"""What whoever runs this installation looks at."""
