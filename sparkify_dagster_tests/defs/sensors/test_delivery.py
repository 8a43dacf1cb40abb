"""What is told to whom, once; what is tried again, how often, and how it is remembered."""

import threading
import time
from collections.abc import Iterator

import pytest

from sparkify_dagster.defs.sensors import delivery
from sparkify_dagster.defs.sensors.delivery import WAITS, Cursor, deliver, parse_cursor
from sparkify_dagster.present.alerts.alert_message import Alert
from sparkify_dagster.present.alerts.notifier import NotifyError
from sparkify_dagster_tests.fixtures.alerts import an_alert


class Receiver:
    """Takes messages, or fails as it is told to."""

    def __init__(self, problem: Exception | None = None, lacks: str = "") -> None:
        self.problem = problem
        self.lacks = lacks
        self.got: list[Alert] = []
        self.tries = 0

    def check(self) -> None:
        if self.lacks:
            raise NotifyError(self.lacks)

    def send(self, alert: Alert) -> None:
        self.tries += 1
        if self.problem:
            raise self.problem
        self.got.append(alert)


def reported(
    alert: Alert | None, cursor: Cursor, now: float = 0, **receivers: Receiver
) -> tuple[Cursor, str]:
    """One look, with the cursor through its text, as Dagster keeps it."""
    after, said = deliver(alert, cursor, receivers, now, lambda text: text.replace("pw", "***"))
    kept = parse_cursor(after.text())
    assert kept == after
    return kept, " ".join(said)


def test_each_notifier_gets_a_message_once() -> None:
    one, two = Receiver(), Receiver()
    cursor, said = reported(an_alert(), Cursor(1), one=one, two=two)
    assert said.count("Told by") == 2
    reported(None, cursor, one=one, two=two)
    assert (one.got, two.got) == ([an_alert()], [an_alert()])


def test_one_that_fails_does_not_keep_it_from_the_others() -> None:
    broken, well = Receiver(NotifyError("The server is away.")), Receiver()
    cursor, said = reported(an_alert(), Cursor(1), broken=broken, well=well)
    assert well.got == [an_alert()]
    assert "broken failed: The server is away. Next try in 1 min." in said
    broken.problem = None
    reported(None, cursor, 60, broken=broken, well=well)
    assert (broken.got, well.got) == ([an_alert()], [an_alert()])


def test_it_is_tried_again_ever_more_rarely_and_then_given_up() -> None:
    away = Receiver(NotifyError("Away."))
    cursor, _ = reported(an_alert(), Cursor(1), 0, away=away)
    now = 0.0
    for n, wait in enumerate(WAITS, start=1):
        assert away.tries == n
        cursor, said = reported(None, cursor, now + wait - 1, away=away)
        assert (away.tries, "is tried again in" in said) == (n, True)
        now += wait
        cursor, said = reported(None, cursor, now, away=away)
    assert away.tries == len(WAITS) + 1
    assert "away failed and is not tried again: Away." in said
    assert cursor.unsent == {}


def test_what_could_not_be_sent_is_sent_together_with_what_is_new() -> None:
    away = Receiver(NotifyError("Away."))
    cursor, _ = reported(an_alert(1, failures=4), Cursor(4), 0, away=away)
    away.problem = None
    cursor, _ = reported(an_alert(5, failures=20), cursor, 1, away=away)
    (message,) = away.got
    assert (message.first, message.last, message.total) == (1, 24, 24)
    assert len(message.failures) == 10
    assert "and 14 more: http://ui/runs" in message.text
    assert cursor.unsent == {}


def test_the_cursor_stays_small_however_much_fails() -> None:
    away = Receiver(NotifyError("Away."))
    cursor = Cursor(0)
    for n in range(200):
        cursor, _ = reported(an_alert(n * 50, failures=50, reason="x" * 600), cursor, n, away=away)
    assert len(cursor.text()) < 20_000
    assert cursor.unsent["away"].alert.total == 10_000


def test_a_problem_that_another_try_cannot_mend_is_reported_once() -> None:
    partly = Receiver(NotifyError("Not for bob.", again=False))
    cursor, said = reported(an_alert(), Cursor(1), partly=partly)
    assert "is not tried again: Not for bob." in said
    assert cursor.unsent == {}


def test_a_secret_in_a_problem_is_hidden() -> None:
    _, said = reported(an_alert(), Cursor(1), one=Receiver(NotifyError("refused pw")))
    assert "refused ***" in said


def test_a_defect_of_a_notifier_is_reported_by_its_kind_alone() -> None:
    cursor, said = reported(an_alert(), Cursor(1), one=Receiver(ZeroDivisionError("a token")))
    assert "one failed: ZeroDivisionError." in said
    assert "token" not in said
    assert cursor.unsent["one"].tries == 1


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A notifier that never comes back while the test lasts."""
    over = threading.Event()
    monkeypatch.setattr(delivery, "SECONDS", 0.05)

    class Endless(Receiver):
        def send(self, alert: Alert) -> None:
            over.wait(30)

    yield Endless()
    over.set()


def test_a_server_that_never_ends_its_answer_does_not_hold_up_the_rest(endless: Receiver) -> None:
    well = Receiver()
    cursor, said = reported(an_alert(), Cursor(1), endless=endless, well=well)
    assert well.got == [an_alert()]
    assert "endless failed: No end after" in said
    assert list(cursor.unsent) == ["endless"]


def test_several_that_never_end_take_no_longer_than_one(endless: Receiver) -> None:
    begin = time.monotonic()
    cursor, _ = reported(an_alert(), Cursor(1), **{f"endless{n}": endless for n in range(40)})
    assert time.monotonic() - begin < 40 * delivery.SECONDS
    assert len(cursor.unsent) == 40


def test_what_a_notifier_lacks_is_reported_before_anything_fails() -> None:
    lacking, well = Receiver(lacks="No pw is set."), Receiver()
    cursor, said = reported(None, Cursor(1), lacking=lacking, well=well)
    assert said == "lacking cannot send alerts: No *** is set."
    assert cursor.unsent == {}


def test_a_notifier_that_is_no_longer_configured_is_forgotten() -> None:
    cursor, _ = reported(an_alert(), Cursor(1), away=Receiver(NotifyError("Away.")))
    cursor, _ = reported(None, cursor, other=Receiver())
    assert cursor.unsent == {}


@pytest.mark.parametrize(
    "text", [None, "", "x", "{}", "[]", "1", '{"seen": 1}', '{"seen": 1, "unsent": {"a": {}}}']
)
def test_a_cursor_of_somebody_else_is_none(text: str | None) -> None:
    assert parse_cursor(text) is None
