"""The outbox and who empties it: in order, patiently, and no channel behind another."""

from __future__ import annotations

import itertools

import pytest

from rota_collector.clock import ManualClock
from rota_collector.domain.message import Notice, compose
from rota_collector.errors import BadCursor, ChannelExists
from rota_collector.notify.outcome import INTERRUPTED, LATER, NEVER, SENT, Outcome, of_status
from rota_collector.notify.webhook import retry_after
from rota_collector.notify.worker import SEND_SECONDS, Ticket
from rota_collector.store.alerts import KEPT_NS, PATIENT_ATTEMPTS, Alerts, kind_of
from rota_collector.store.dialect import open_sqlite
from rota_collector.watch.outbox import GIVE_UP_NS, Sender, backoff

SECOND = 10**9
HOUR, LONGEST = 3600, 1800
REFUSED = Outcome(LATER, "connection refused")


class Line:
    """Stands where the worker does: what is handed over waits until the test says what became of it."""

    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.tickets: list[Ticket] = []
        self.given_up: list[Ticket] = []
        self._numbers = itertools.count(1)

    def submit(self, request):
        ticket = Ticket(next(self._numbers), None)
        self.requests.append(request)
        self.tickets.append(ticket)
        return ticket

    def give_up(self, ticket):
        self.given_up.append(ticket)
        ticket.outcome.set_result(Outcome(LATER, "no answer in time"))

    def answer_all(self, outcome):
        """Everything under way ends so; how much that was."""
        open_ = [ticket for ticket in self.tickets if not ticket.outcome.done()]
        for ticket in open_:
            ticket.outcome.set_result(outcome)
        return len(open_)

    def close(self):
        pass


class Place:
    """An outbox with its sender, on a clock that stands still."""

    def __init__(self, folder) -> None:
        self.engine = open_sqlite(folder / "control.sqlite")
        self.clock = ManualClock()
        self.alerts = Alerts(self.engine)
        self.line = Line()
        self.sender = Sender(self.alerts, self.line, self.clock, chance=lambda: 0.5)
        self._count = itertools.count()

    def put(self, *channels, count=1):
        """Enqueue messages; their ids."""
        now_ns = self.clock.now_ns()
        ids = []
        with self.engine.execution_options(writes=True).begin() as connection:
            for _ in range(count):
                messages = compose([notice(next(self._count), now_ns)], channels, "http://127.0.0.1:8501")
                self.alerts.enqueue(connection, messages, now_ns)
                ids += [message.id for message in messages]
        return ids

    def sent(self):
        """The ids that were handed over, in order."""
        return [request["id"] for request in self.line.requests]

    def round(self, outcome):
        """One message leaves, ends so, and that is marked."""
        self.sender.step()
        assert self.line.answer_all(outcome)
        self.sender.step()

    def all(self, state=None):
        return self.alerts.page(state).items


def notice(number, at_ns):
    return Notice(
        f"incident-{number}", "opened", "missed", "etl.nightly", "", at_ns, at_ns, "no run", None, None, None, None, None
    )  # fmt: skip


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    made.alerts.add_channel("ops", "https://example.org/hook", 1)
    yield made
    made.engine.dispose()


# -- the store --------------------------------------------------------------------------------------------------------


def test_a_message_is_there_when_its_transaction_is(place):
    """Enqueued with the transition that it tells of: both are kept, or neither."""
    message = compose([notice(1, 5)], ["ops"], "http://x")
    with place.engine.execution_options(writes=True).connect() as connection:
        transaction = connection.begin()
        place.alerts.enqueue(connection, message, 5)
        transaction.rollback()
    assert place.all() == []


def test_a_message_is_enqueued_once(place):
    """The same transition decided again adds nothing, and does not bring back what was sent."""
    message = compose([notice(1, 5)], ["ops"], "http://x")
    for at in (5, 6):
        with place.engine.execution_options(writes=True).begin() as connection:
            place.alerts.enqueue(connection, message, at)
        place.alerts.mark_sent(message[0].id, 7)
    assert [(each.created_ns, each.sent_ns) for each in place.all()] == [(5, 7)]


def test_a_removed_channel_takes_what_waits_for_it_along(place):
    """It is told as given up, with the reason; the name is free for another channel."""
    place.put("ops", count=2)
    assert place.alerts.remove_channel("ops", 9)
    assert not place.alerts.remove_channel("ops", 9)
    assert {each.error for each in place.all("dead")} == {"the channel was removed"}
    assert place.alerts.next_due_ns() is None
    place.alerts.add_channel("ops", "https://example.org/", 10)


def test_a_channel_has_a_secret_of_its_own(place):
    """Generated, long, and never the same."""
    other = place.alerts.add_channel("other", "https://example.org/hook", 1)
    secret = place.alerts.channel("ops").secret
    assert secret.startswith("whsec_")
    assert len(secret) > 40
    assert secret != other.secret
    with pytest.raises(ChannelExists, match="'other'"):
        place.alerts.add_channel("other", "https://example.org/", 2)
    assert [each.name for each in place.alerts.channels()] == ["ops", "other"]


def test_plain_addresses_are_webhooks_and_the_rest_is_apprise():
    """By the beginning of the address."""
    kinds = [kind_of(url) for url in ("https://x", "HTTP://x", "json://x", "mailto://x", "slack://https://x")]
    assert kinds == ["webhook", "webhook", "apprise", "apprise", "apprise"]


def test_alerts_are_listed_by_state_and_page(place):
    """The newest first, each page where the one before ended."""
    place.put("ops", count=5)
    sent, dead = place.all()[0].id, place.all()[1].id
    place.alerts.mark_sent(sent, 9)
    place.alerts.mark_failed(dead, 9, None, "404")
    assert [each.id for each in place.all("sent")] == [sent]
    assert [(each.id, each.error) for each in place.all("dead")] == [(dead, "404")]
    first = place.alerts.page("waiting", None, 2)
    rest = place.alerts.page("waiting", first.next, 2)
    assert len({each.id for each in first.items + rest.items}) == 3
    assert rest.next is None
    with pytest.raises(BadCursor):
        place.alerts.page(None, "x")


def test_what_was_settled_long_ago_is_forgotten(place):
    """What waits is kept, however old."""
    old, waiting = place.put("ops", count=2)
    place.alerts.mark_sent(old, 9)
    place.alerts.prune(place.clock.now_ns() + KEPT_NS + 1)
    assert [each.id for each in place.all()] == [waiting]


# -- the sender -------------------------------------------------------------------------------------------------------


def test_messages_of_a_channel_leave_in_order_one_at_a_time(place):
    """The oldest first, the next one when that is marked."""
    ids = place.put("ops", count=3)
    place.sender.step()
    place.sender.step()
    assert place.sent() == ids[:1]
    for _ in range(3):
        place.round(Outcome(SENT))
    assert place.sent() == ids
    assert [each.sent_ns is not None for each in place.all()] == [True] * 3


def test_a_request_holds_what_its_channel_needs(place):
    """A webhook is given its secret, Apprise title and text: neither the other's."""
    place.alerts.add_channel("mail", "mailto://example.org", 1)
    place.put("mail", "ops")
    place.sender.step()
    by_kind = {request["kind"]: set(request) - {"do", "kind", "url", "id", "payload"} for request in place.line.requests}
    assert by_kind == {"webhook": {"secret"}, "apprise": {"title", "text"}}


def test_a_failing_channel_is_tried_later_and_later(place):
    """Five seconds, doubled each time, half an hour at most; the message is the same, under the same id."""
    place.put("ops")
    waits = []
    for _ in range(12):
        place.round(REFUSED)
        waits.append((place.alerts.next_due_ns() - place.clock.now_ns()) / 1e9)
        place.clock.advance(waits[-1])
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]
    assert len(set(place.sent())) == 1
    (waiting,) = place.all("waiting")
    assert (waiting.attempts, waiting.error) == (12, "connection refused")


def test_the_wait_is_spread():
    """Many senders whose receiver comes back do not all come in the same second."""
    assert (backoff(1, 0.0), backoff(1, 1.0)) == pytest.approx((4.0, 6.0))
    assert backoff(10_000, 1.0) == pytest.approx(2160.0)


def test_a_message_that_waits_holds_back_the_later_ones(place):
    """Nobody reads "over" before "missed" because the first attempt failed."""
    ids = place.put("ops", count=2)
    place.round(REFUSED)
    place.clock.advance(4)
    place.sender.step()
    assert place.sent() == ids[:1]
    place.clock.advance(1)
    place.round(Outcome(SENT))
    place.round(Outcome(SENT))
    assert place.sent() == [ids[0], ids[0], ids[1]]


def test_a_message_that_nobody_takes_does_not_hold_back_the_others_for_ever(place):
    """After some attempts the later ones go first; it is still tried in between."""
    poison, *others = place.put("ops", count=3)
    for _ in range(PATIENT_ATTEMPTS):
        place.clock.advance(LONGEST)
        place.round(REFUSED)
    for _ in others:
        place.round(Outcome(SENT))
    assert place.sent()[PATIENT_ATTEMPTS:] == others
    place.clock.advance(LONGEST)
    place.sender.step()
    assert place.sent()[-1] == poison


def test_after_a_day_a_message_is_dead(place, capsys):
    """It is said once on stderr, and kept for the API with the reason; nothing tries it again."""
    (identity,) = place.put("ops")
    while place.all("waiting"):
        assert place.clock.now_ns() - place.all()[0].created_ns <= GIVE_UP_NS + LONGEST * SECOND
        place.round(REFUSED)
        place.clock.advance(LONGEST)
    (dead,) = place.all("dead")
    assert dead.error == "connection refused"
    assert dead.dead_ns - dead.created_ns >= GIVE_UP_NS
    place.sender.step()
    said = capsys.readouterr().err
    assert said.startswith(f"rota collector: alert {identity} will not reach 'ops': connection refused.")
    assert said.count("\n") == 1


def test_a_message_that_waited_through_an_outage_is_tried_more_than_once(place):
    """After a day in which nobody sent, one refusal is not the end: age alone kills no alert."""
    place.put("ops")
    place.clock.advance(25 * 3600)
    place.round(REFUSED)
    assert [message.attempts for message in place.all("waiting")] == [1]


def test_a_refusal_for_good_is_dead_at_once(place):
    """What is not there will not be there in an hour either; the next message is tried all the same."""
    first, second = place.put("ops", count=2)
    place.round(Outcome(NEVER, "it answered 404"))
    place.round(Outcome(SENT))
    assert [(each.id, each.error) for each in place.all("dead")] == [(first, "it answered 404")]
    assert [each.id for each in place.all("sent")] == [second]


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [((200, 202, 204), SENT), ((400, 401, 404, 410), NEVER), ((408, 425, 429, 500, 503), LATER)],
)
def test_a_status_tells_whether_to_try_again(statuses, kind):
    """4xx is for good, but for those that speak of time."""
    assert {of_status(status, "said").kind for status in statuses} == {kind}


def test_a_receiver_says_when_to_come_back(place):
    """A Retry-After that is longer than our own wait holds, up to an hour."""
    place.put("ops")
    for asked, waited in ((120.0, 120), (1.0, 10), (1e9, HOUR)):
        place.round(Outcome(LATER, "it answered 429", asked))
        assert (place.alerts.next_due_ns() - place.clock.now_ns()) / 1e9 == waited
        place.clock.advance(waited)


def test_retry_after_is_a_number_or_a_date():
    """As HTTP has it; what is neither asks for nothing."""
    assert retry_after("120", 0.0) == 120.0
    assert retry_after("Mon, 21 Sep 2026 14:13:30 GMT", 1_790_000_000.0) == 10.0
    assert retry_after("Mon, 21 Sep 2026 14:13:10 GMT", 1_790_000_000.0) == 0.0
    assert [retry_after(value, 0.0) for value in (None, "", "soon", "-5", "1e9")] == [None] * 5


def test_a_hanging_channel_is_given_up_and_delays_nobody(place):
    """The other channel gets all of its messages meanwhile; the hanging one counts as failed after its time."""
    place.alerts.add_channel("slow", "https://slow.example.org/", 1)
    place.put("ops", "slow")
    place.put("ops", count=2)
    place.sender.step()
    hanging = next(
        ticket for ticket, asked in zip(place.line.tickets, place.line.requests, strict=True) if "slow" in asked["url"]
    )
    for _ in range(3):
        for ticket in place.line.tickets:
            if ticket is not hanging and not ticket.outcome.done():
                ticket.outcome.set_result(Outcome(SENT))
        place.sender.step()
    assert {each.channel for each in place.all("sent")} == {"ops"}
    assert len(place.all("sent")) == 3
    assert place.line.given_up == []
    place.clock.advance(SEND_SECONDS + 1)
    place.sender.step()
    place.sender.step()
    assert place.line.given_up == [hanging]
    assert [(each.channel, each.error) for each in place.all("waiting")] == [("slow", "no answer in time")]


def test_who_was_interrupted_by_another_ones_fault_is_sent_again_at_once(place):
    """The process that sends was killed because of another message: this one did not fail."""
    (identity,) = place.put("ops")
    place.round(Outcome(INTERRUPTED))
    assert place.sent() == [identity, identity]
    assert place.all("waiting")[0].attempts == 0


def test_what_could_not_be_marked_is_not_sent_again(place, monkeypatch):
    """The database was busy when the answer came: marking is tried again, sending is not."""
    place.put("ops")
    place.sender.step()
    place.line.answer_all(Outcome(SENT))
    with monkeypatch.context() as patch:
        patch.setattr(place.alerts, "mark_sent", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            place.sender.step()
    place.sender.step()
    assert len(place.sent()) == 1
    assert len(place.all("sent")) == 1


def test_a_clock_that_was_set_back_does_not_hold_up_alerts(place):
    """An attempt planned by a clock that was days ahead is not waited for."""
    place.put("ops")
    place.clock.advance(5 * 24 * HOUR)
    place.sender.step()
    place.line.answer_all(REFUSED)
    place.sender.step()
    place.clock.set_ns(place.clock.now_ns() - 5 * 24 * HOUR * SECOND)
    assert len(place.sent()) == 1
    place.sender.step()
    assert len(place.sent()) == 1 + (place.all()[0].dead_ns is None)


def test_the_sender_sleeps_until_something_is_due(place):
    """Not longer than a second, and not at all past the next attempt."""
    assert place.sender.step() == 1.0
    place.put("ops")
    place.round(REFUSED)
    place.clock.advance(4.75)
    assert place.sender.step() == pytest.approx(0.25)
