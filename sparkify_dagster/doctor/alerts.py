"""Whether those whom [ALERTS] NOTIFY names could be told; nobody is.

A warning at most: a run needs no alerts, and secrets may be known only where the sensors run.
"""

from collections.abc import Iterator

from sparkify_dagster.console import Mark, listed
from sparkify_dagster.doctor.finding import Finding
from sparkify_dagster.present.alerts.notifier import NotifyError
from sparkify_dagster.present.alerts.notifiers import notifiers_of
from sparkify_dagster.settings.alert_sections import AlertSettings


def alerts(settings: AlertSettings) -> Iterator[Finding]:
    usable = []
    for name, notifier in notifiers_of(settings).items():
        try:
            notifier.check()
        except NotifyError as error:
            yield Finding(Mark.WARN, "alerts", str(error))
        else:
            usable.append(name)
    if usable:
        yield Finding(Mark.OK, "alerts", f"can be sent by {listed(usable)}")
