"""What runs without or with one click: jobs."""
