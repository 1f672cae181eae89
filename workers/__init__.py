"""The worker process: runs jobs and schedules. It contains no decisions."""
