import math
from types import SimpleNamespace

import pytest

from gateway.core import load as module
from gateway.core.admission import Admission, ResponseTime
from gateway.errors import CallerGoneError, Code, RefusedError


def admission_of(requests=1000, size=1000, *, served=("p", "q"), **limits):
    return Admission(requests, size, lambda: served, **limits)


class Requests:
    """Requests that hold places or bytes until they end, with the test at the latest."""

    def __init__(self, admission):
        self.admission = admission
        self.entered = {}

    def come(self, count=1, *, caller="a", pipeline="p", size=0):
        """The holdings of requests that have a place, or that bring a body of `size` still."""
        return [self.comes(caller, pipeline, size) for _ in range(count)]

    def comes(self, caller, pipeline, size):
        entered = self.admission.enter(caller, pipeline, size)
        holding = entered.__enter__()
        self.entered[holding] = entered
        try:
            if size:
                holding.receive(size)
            else:
                holding.take_place()
        except RefusedError:
            self.end(holding)
            raise
        return holding

    def end(self, holding):
        self.entered.pop(holding).__exit__(None, None, None)

    def leave(self, holding):
        """The caller hangs up while an inference goes on."""
        holding.sent()
        self.entered.pop(holding).__exit__(CallerGoneError, CallerGoneError(), None)

    def refuse(self, reason, **asked):
        with pytest.raises(RefusedError) as caught:
            self.come(**asked)
        assert (caught.value.code, caught.value.reason) == (Code.BUSY, reason)


def test_requests_beyond_the_limit_are_refused_until_one_leaves():
    requests = Requests(admission_of(2, served=("p",)))
    first, _ = requests.come(2)
    assert requests.admission.in_flight["p"] == 2
    requests.refuse("requests")
    requests.end(first)
    requests.come()
    assert requests.admission.in_flight["p"] == 2


def test_explanations_have_a_limit_of_their_own_with_shares():
    admission = admission_of(1000, served=("p",), explanations=4, caller_share=0.5)
    entered = [admission.enter(caller, "p", 0) for caller in ("a", "a", "b", "b", "c")]
    holdings = [each.__enter__() for each in entered]
    for holding in holdings[:2]:
        holding.take_place(explains=True)
    with admission.enter("a", "p", 0) as third:
        with pytest.raises(RefusedError, match="too many explanations of this caller") as caught:
            third.take_place(explains=True)
        assert (caught.value.code, caught.value.reason) == (Code.BUSY, "caller")
        third.take_place()  # Any other request has its place.
    for holding in holdings[2:4]:
        holding.take_place(explains=True)
    with pytest.raises(RefusedError, match="too many explanations are in flight"):
        holdings[4].take_place(explains=True)
    assert admission.in_flight == {"p": 4}
    for each in entered:
        each.__exit__(None, None, None)
    assert admission.in_flight == {"p": 0}
    assert sum(admission.places.pipelines.values()) == 0


def test_an_explanation_that_is_left_behind_holds_its_place_until_it_ends():
    admission = admission_of(served=("p",), explanations=1)
    with admission.enter("a", "p", 0) as first:
        first.take_place(explains=True)
        first.sent()
    with admission.enter("b", "p", 0) as second:
        with pytest.raises(RefusedError, match="explanations"):
            second.take_place(explains=True)
        first.returned()
        second.take_place(explains=True)


def test_slow_explanations_do_not_lengthen_the_wait_that_others_expect(clock):
    admission = admission_of(wait=5)
    for _ in range(40):
        with admission.enter("a", "p", 0) as holding:
            holding.take_place(explains=True)
            clock.now += 20
    with admission.enter("a", "p", 0) as explains:
        explains.take_place(explains=True)
        callers = Callers(admission, clock)
        callers.come(40)


def test_a_body_that_has_not_come_takes_no_place():
    admission = admission_of(2, served=("p",))
    with admission.enter("a", "p", 10), admission.enter("a", "p", 10), admission.enter("a", "p", 0):
        requests = Requests(admission)
        requests.come(2)
        assert admission.in_flight["p"] == 2


def test_upload_time_is_no_time_in_the_queue(clock):
    callers = Callers(admission_of(wait=5), clock)
    for _ in range(20):
        with callers.admission.enter("a", "p", 10) as holding:
            clock.now += 60
            holding.receive(10)
            holding.take_place()
            clock.now += 0.1
            holding.answered(1)
    callers.come(40)


def test_bytes_beyond_the_limit_are_refused_as_they_come_until_some_are_free():
    requests = Requests(admission_of(served=("p",)))
    (slow,) = requests.come(size=600)
    requests.refuse("bytes", size=401)
    requests.come(size=300)
    slow.receive(100)
    with pytest.raises(RefusedError) as caught:
        slow.receive(1)
    assert caught.value.reason == "bytes"
    requests.end(slow)
    requests.come(size=700)


def test_a_declared_body_that_does_not_fit_is_refused_before_it_is_read():
    admission = admission_of()
    with pytest.raises(RefusedError), admission.enter("a", "p", 1001):
        pass
    assert admission.bytes.pipelines["p"] == 0


def test_what_failed_work_held_is_given_back():
    admission = admission_of(1, 1)
    for _ in range(3):
        entered = admission.enter("a", "p", 1)
        holding = entered.__enter__()
        holding.receive(1)
        holding.take_place()
        entered.__exit__(ZeroDivisionError, ZeroDivisionError(), None)


def test_what_was_held_for_a_request_stays_until_its_inference_is_over():
    requests = Requests(admission_of(1, 10, served=("p",)))
    (holding,) = requests.come(size=10)
    holding.take_place()
    requests.leave(holding)
    # Nobody waits for it, but it is work and memory all the same.
    assert requests.admission.in_flight["p"] == 0
    requests.refuse("requests")
    holding.returned()
    requests.come(size=10)


def test_a_caller_has_at_most_its_share_and_another_gets_in():
    requests = Requests(admission_of(10, caller_share=0.5))
    held = requests.come(5, caller="greedy")
    requests.refuse("caller", caller="greedy")
    requests.come(caller="other")
    requests.end(held[0])
    requests.come(caller="greedy")


def test_a_caller_has_at_most_its_share_of_the_bytes_but_may_bring_the_largest_body():
    requests = Requests(admission_of(caller_share=0.5, largest=600))
    requests.come(size=600, caller="greedy")
    requests.refuse("caller", size=1, caller="greedy")
    requests.come(size=200, caller="other")


def test_what_callers_left_behind_counts_to_their_share():
    requests = Requests(admission_of(10, caller_share=0.5))
    for holding in requests.come(5, caller="greedy"):
        requests.leave(holding)
    requests.refuse("caller", caller="greedy")
    requests.come(caller="other")


def test_one_caller_alone_may_have_a_place_however_few_there_are():
    Requests(admission_of(1, caller_share=0.5)).come()


@pytest.mark.parametrize("left_behind", [False, True])
def test_a_pipeline_that_hangs_leaves_the_others_their_places(left_behind):
    requests = Requests(admission_of(12, served=("hangs", "q", "r")))
    for holding in requests.come(8, pipeline="hangs"):
        if left_behind:
            requests.leave(holding)
    requests.refuse("requests", pipeline="hangs")
    requests.come(2, pipeline="q")
    requests.come(2, pipeline="r")
    requests.refuse("requests", pipeline="q")


def test_a_pipeline_that_hangs_leaves_the_others_their_bytes():
    requests = Requests(admission_of(served=("hangs", "q")))
    requests.come(size=750, pipeline="hangs")
    requests.refuse("bytes", size=1, pipeline="hangs")
    requests.come(size=250, pipeline="q")


def test_the_largest_body_fits_however_many_pipelines_are_served():
    served = [str(number) for number in range(7)]
    requests = Requests(admission_of(size=1000, largest=900, served=served))
    for name in served:
        (holding,) = requests.come(size=900, pipeline=name)
        requests.end(holding)


def test_callers_that_left_are_forgotten():
    requests = Requests(admission_of())
    for number in range(100):
        (holding,) = requests.come(size=1, caller=str(number))
        holding.take_place()
        requests.end(holding)
    assert not requests.admission.places._callers
    assert not requests.admission.bytes._callers


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Callers:
    """Requests that come and are answered one after the other."""

    def __init__(self, admission, clock, caller="a", **wanted):
        self.admission, self.clock, self.held = admission, clock, []
        self.caller, self.wanted = caller, ResponseTime(**wanted)

    def come(self, count, images=1):
        for _ in range(count):
            entered = self.admission.enter(self.caller, "p", 0, wanted=self.wanted)
            holding = entered.__enter__()
            try:
                holding.take_place(images)
            except RefusedError:
                entered.__exit__(None, None, None)
                raise
            self.held.append((entered, holding))

    def are_answered(self, count, seconds):
        for _ in range(count):
            self.clock.now += seconds
            entered, holding = self.held.pop(0)
            holding.answered(1)
            entered.__exit__(None, None, None)


def test_a_request_that_would_wait_too_long_is_refused_and_told_how_long(clock):
    callers = Callers(admission_of(wait=5), clock)
    callers.come(40)
    callers.are_answered(20, 0.5)
    with pytest.raises(RefusedError) as caught:
        callers.come(1)
    # 20 in flight and itself take 10.5 s.
    assert (caught.value.code, caught.value.retry_after) == (Code.BUSY, 6)
    assert caught.value.reason == "wait"
    callers.are_answered(11, 0.5)
    callers.come(1)


def test_who_has_less_time_than_it_would_wait_is_refused(clock):
    admission = admission_of(wait=30)
    callers = Callers(admission, clock)
    callers.come(40)
    callers.are_answered(20, 0.5)
    with pytest.raises(RefusedError) as caught, admission.enter("a", "p", 1, 9.5):
        pass
    assert (caught.value.code, caught.value.retry_after) == (Code.BUSY, 1)
    assert caught.value.reason == "wait"
    with admission.enter("a", "p", 1, 10.6) as holding, pytest.raises(RefusedError):
        # The upload took a second.
        holding.take_place(1, 9.5)


def test_what_callers_of_the_pipeline_left_behind_is_waited_for(clock):
    admission = admission_of(wait=5)
    others = Requests(admission)
    others.come(100, pipeline="q")
    callers = Callers(admission, clock)
    callers.come(20)
    callers.are_answered(20, 0.5)
    requests = Requests(admission)
    left = requests.come(10)
    for holding in left:
        requests.leave(holding)
    with pytest.raises(RefusedError) as caught:
        callers.come(1)
    assert (caught.value.code, caught.value.retry_after) == (Code.BUSY, 1)
    left[0].returned()
    callers.come(1)


def test_the_same_queue_before_a_fast_pipeline_is_let_in(clock):
    callers = Callers(admission_of(wait=5), clock)
    callers.come(40)
    callers.are_answered(20, 0.05)
    callers.come(60)


def test_a_few_are_let_in_however_slow_the_pipeline_is(clock):
    callers = Callers(admission_of(wait=5), clock)
    callers.come(20)
    callers.are_answered(20, 60)
    callers.come(4)
    with pytest.raises(RefusedError):
        callers.come(1)


def test_a_rest_is_not_taken_for_slowness(clock):
    callers = Callers(admission_of(wait=5), clock)
    for _ in range(20):
        callers.come(1)
        callers.are_answered(1, 0.1)
        clock.now += 3600
    callers.come(40)


def test_without_a_limit_on_the_wait_all_may_wait(clock):
    callers = Callers(admission_of(wait=math.inf), clock)
    callers.come(20)
    callers.are_answered(20, 60)
    callers.come(30)


def test_what_fails_says_that_it_is_slow_and_not_that_it_is_fast(clock):
    callers = Callers(admission_of(wait=5), clock)
    callers.come(60)
    callers.are_answered(20, 0.05)
    for _ in range(20):
        clock.now += 1
        callers.held.pop(0)[0].__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    callers.are_answered(1, 1)
    with pytest.raises(RefusedError):
        callers.come(1)


PROMISED = {"promised": 1.0}


def at_a_rate(admission, clock, seconds, **wanted):
    """Callers of a pipeline whose images are known to take so many seconds each."""
    callers = Callers(admission, clock, **wanted)
    callers.come(4)
    for _ in range(40):
        callers.are_answered(1, seconds)
        callers.come(1)
    return callers


def test_who_asks_for_nothing_is_let_in_while_the_promise_of_its_pipeline_can_be_kept(clock):
    callers = at_a_rate(admission_of(wait=30), clock, 0.1, **PROMISED)
    callers.come(6)
    with pytest.raises(RefusedError) as caught:
        callers.come(1)
    assert (caught.value.reason, caught.value.retry_after) == ("wait", 1)
    assert "X-Respond-Within-Ms" in caught.value.detail


def test_who_asks_for_less_than_the_promise_is_refused_sooner(clock):
    admission = admission_of(wait=30)
    others = at_a_rate(admission, clock, 0.1, **PROMISED)
    others.come(2)
    with pytest.raises(RefusedError):
        Callers(admission, clock, asked=0.6, **PROMISED).come(1)
    Callers(admission, clock, asked=0.8, **PROMISED).come(1)


def test_who_gives_more_time_is_let_in_up_to_the_limit_of_the_gateway(clock):
    admission = admission_of(wait=5)
    others = at_a_rate(admission, clock, 0.1, **PROMISED)
    others.come(6)
    patient = Callers(admission, clock, "b", asked=3600, **PROMISED)
    patient.come(40)
    with pytest.raises(RefusedError) as caught:
        patient.come(1)
    assert (caught.value.reason, caught.value.retry_after) == ("wait", 1)


def test_a_batch_that_asks_for_nothing_has_the_gateways_limit(clock):
    admission = admission_of(wait=5)
    callers = at_a_rate(admission, clock, 0.1, **PROMISED)
    # Of a whole body the number of images says that it is one.
    callers.come(1, images=30)
    with pytest.raises(RefusedError):
        callers.come(1, images=30)
    batch = Callers(admission, clock, several=True, **PROMISED)
    batch.come(1, images=15)


def test_all_images_of_a_batch_are_waited_for(clock):
    admission = admission_of(wait=30)
    patient = Callers(admission, clock, "b", several=True, **PROMISED)
    patient.come(1, images=20)
    ((_, holding),) = patient.held
    for _ in range(20):
        clock.now += 0.1
        holding.answered(1)
    patient.come(3, images=90)
    with pytest.raises(RefusedError) as caught:
        patient.come(1, images=40)
    # 270 images before it, and its own.
    assert (caught.value.reason, caught.value.retry_after) == ("wait", 1)
    patient.come(1, images=20)


def test_who_wants_its_answer_soon_does_not_wait_for_patient_callers(clock):
    admission = admission_of(wait=30)
    callers = at_a_rate(admission, clock, 0.1, **PROMISED)
    Callers(admission, clock, "b", several=True, **PROMISED).come(2, images=100)
    callers.come(6)
    with pytest.raises(RefusedError):
        callers.come(1)


def test_what_patient_callers_have_in_triton_is_waited_for(clock):
    admission = admission_of(wait=30)
    callers = at_a_rate(admission, clock, 0.1, **PROMISED)
    patient = Callers(admission, clock, "b", several=True, **PROMISED)
    patient.come(1, images=100)
    ((_, batch),) = patient.held
    assert batch.at_once == 5, "half of the promised second"
    slow = at_a_rate(admission_of(wait=30), clock, 3.0, **PROMISED)
    assert slow.held[0][1].at_once == 2, "of the slowest pipeline, too"
    for _ in range(3):
        batch.sent()
    callers.come(3)
    with pytest.raises(RefusedError):
        callers.come(1)
    batch.returned()
    callers.come(1)


def test_patient_callers_expect_the_rate_that_the_others_leave_them(clock):
    admission = admission_of(wait=30)
    people = Callers(admission, clock, **PROMISED)
    patient = Callers(admission, clock, "b", several=True, **PROMISED)
    people.come(4)
    patient.come(20)
    for _ in range(20):
        people.are_answered(4, 0.1)
        people.come(4)
        patient.are_answered(1, 0.1)
        patient.come(1)
    # Two patient images a second; at the rate of all, ten, 50 more would take 8 s.
    with pytest.raises(RefusedError):
        patient.come(1, images=50)
    patient.come(1, images=35)


def test_one_caller_has_at_most_its_share_of_the_promised_time(clock):
    admission = admission_of(wait=30, caller_share=0.5)
    greedy = at_a_rate(admission, clock, 0.1, **PROMISED)
    greedy.come(1)
    with pytest.raises(RefusedError) as caught:
        greedy.come(1)
    assert caught.value.reason == "caller"
    Callers(admission, clock, "nurse", **PROMISED).come(4)


def test_the_gateway_may_set_another_time_than_the_pipelines_promise(clock):
    admission = admission_of(wait=30, respond_within=2.0)
    callers = at_a_rate(admission, clock, 0.1, **PROMISED)
    callers.come(16)
    with pytest.raises(RefusedError):
        callers.come(1)
    assert admission.promised(1.0) == 2.0
    assert admission_of(wait=0.6).promised(1.0) == 0.6


@pytest.mark.parametrize("processes", [1, 2, 4])
@pytest.mark.parametrize("capacity", [5, 14, 150])
def test_at_three_times_the_capacity_who_is_let_in_is_answered_in_time(clock, processes, capacity):
    """Simulated: each process takes one image at a time, and answers come in the order of it."""
    admission = admission_of(wait=30)
    seconds = processes / capacity
    free = [clock.now] * processes
    under_way, late, answered, refused = [], [], 0, 0
    began = clock.now
    arrivals = 3 * capacity
    for number in range(30 * arrivals):
        clock.now = began + number / arrivals
        now = clock.now
        while under_way and under_way[0][0] <= now:
            due, came, entered, holding = under_way.pop(0)
            clock.now = due
            holding.answered(1)
            entered.__exit__(None, None, None)
            answered += 1
            late.append(due - came)
            clock.now = now
        entered = admission.enter(str(number), "p", 0, wanted=ResponseTime(promised=1.0))
        try:
            holding = entered.__enter__()
        except RefusedError:
            refused += 1
            continue
        holding.take_place()
        begins = max(now, min(free))
        free[free.index(min(free))] = begins + seconds
        under_way.append((begins + seconds, now, entered, holding))
    # While nothing is known of a pipeline, all are let in.
    settled = late[32:]
    assert max(settled) <= 1.0 + seconds + 1e-6
    assert answered >= 0.9 * capacity * 30
    assert answered + refused + len(under_way) == 30 * arrivals
