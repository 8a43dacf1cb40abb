"""Jobs of one op: what a command does, where the run is. They materialize nothing."""
