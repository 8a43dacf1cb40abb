"""What every notifier can do, and how it says that it could not.

The notifiers themselves are in `notifiers` and `services`.
"""

from typing import Protocol

from sparkify_dagster.errors import SparkifyError
from sparkify_dagster.present.alerts.alert_message import Alert


class NotifyError(SparkifyError):
    """A message that could not be handed over. `again` says whether another try may help."""

    def __init__(self, message: str, *, again: bool = True) -> None:
        super().__init__(message)
        self.again = again


class Notifier(Protocol):
    """Something that takes messages."""

    def check(self) -> None:
        """Find out, without contacting anybody, whether a message could be sent.

        Raises:
            NotifyError: without any secret, if the settings lack something or cannot be used.
        """

    def send(self, alert: Alert) -> None:
        """Hand the message over.

        Raises:
            NotifyError: without any secret, if it was not taken.
        """
