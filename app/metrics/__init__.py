"""What was counted, when: snapshots kept for ever, and their daily rollups."""
