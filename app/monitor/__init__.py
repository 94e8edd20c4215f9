"""What the service tells of itself: metrics of all workers, and its logs."""
