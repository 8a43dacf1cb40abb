"""Personal data: what is masked, and how a user is forgotten."""
