"""Health checks and metrics, for the operator of the installation."""
