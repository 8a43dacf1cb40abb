"""Tables against files of expected results."""
