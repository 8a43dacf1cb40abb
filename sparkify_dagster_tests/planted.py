"""Secrets that the suite uses everywhere, so that they can be searched for in what it leaves.

They open nothing but the servers of the tests. plugins/secrets.py searches when the suite ends.
"""

DATABASE_PASSWORD = "planted-Database-Password-1"
SECRET_KEY = "planted-secret-access-key-0123456789"
SMTP_PASSWORD = "planted-Smtp-Password-1"
WEBHOOK_TOKEN = "planted-webhook-token-1"
SERVICE_TOKEN = "planted-service-token-1"
SECRETS = (DATABASE_PASSWORD, SECRET_KEY, SMTP_PASSWORD, WEBHOOK_TOKEN, SERVICE_TOKEN)
