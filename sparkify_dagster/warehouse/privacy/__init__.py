"""Personal data: what is masked, and how a user is forgotten."""

__all__ = ["forget_messages", "forget_user", "personal"]
