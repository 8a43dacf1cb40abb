"""What starts runs: jobs. What a run does is in the assets."""
