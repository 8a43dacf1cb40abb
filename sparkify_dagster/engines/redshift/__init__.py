"""The engine Amazon Redshift, over `server`."""
