"""Secrets that the suite uses everywhere, so that they can be searched for in what it leaves.

They open nothing but the servers of the tests. plugin_secrets.py searches when the suite ends.
"""

DATABASE_PASSWORD = "planted-Database-Password-1"
SECRET_KEY = "planted-secret-access-key-0123456789"
SECRETS = (DATABASE_PASSWORD, SECRET_KEY)
