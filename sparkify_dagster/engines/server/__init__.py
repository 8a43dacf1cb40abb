"""What the engines on a server share: connections, logins, transactions and errors."""

__all__ = ["warehouse"]
