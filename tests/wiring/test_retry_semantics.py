"""The rules read a Retry as Step Functions does: which retrier an error meets, and how long all of them take."""

import pytest

from tests.wiring.rules.retries import attempts_of, longest_path, matches, retrier_for, waits_of, worst_case


@pytest.mark.parametrize(
    ("error_equals", "error", "expected"),
    [
        (["CustomerInvalid"], "CustomerInvalid", True),
        (["CustomerInvalid"], "onboarding.domain.errors.CustomerInvalid", False),
        (["Exception"], "CustomerInvalid", False),
        (["States.ALL"], "CustomerInvalid", True),
        (["States.ALL"], "States.Timeout", True),
        (["States.ALL"], "States.DataLimitExceeded", False),
        (["States.ALL"], "States.Runtime", False),
        (["States.TaskFailed"], "Sandbox.Timedout", True),
        (["States.TaskFailed"], "States.Timeout", False),
    ],
)
def test_an_error_is_matched_by_its_own_name_or_a_reserved_one(
    error_equals: list[str], error: str, *, expected: bool
) -> None:
    assert matches(error_equals, error) is expected


def test_an_error_meets_the_first_retrier_that_matches() -> None:
    none, some = {"ErrorEquals": ["A"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}

    assert retrier_for({"Retry": [none, some]}, "A") is none
    assert retrier_for({"Retry": [none, some]}, "B") is some
    assert retrier_for({"Retry": [some, none]}, "A") is some
    assert retrier_for({}, "A") is None


def test_a_retrier_waits_longer_each_time_up_to_its_cap() -> None:
    assert waits_of({"IntervalSeconds": 3, "BackoffRate": 2, "MaxAttempts": 4}) == 3 + 6 + 12 + 24
    assert (
        waits_of({"IntervalSeconds": 3, "BackoffRate": 2, "MaxAttempts": 4, "MaxDelaySeconds": 10}) == 3 + 6 + 10 + 10
    )


def test_what_a_retrier_does_not_say_is_the_default_of_step_functions() -> None:
    assert attempts_of({}) == 3
    assert waits_of({}) == 1 + 2 + 4


def test_a_task_may_use_up_all_of_its_retriers() -> None:
    retriers = [{"IntervalSeconds": 1, "MaxAttempts": 1}, {"MaxAttempts": 0}, {"IntervalSeconds": 5, "MaxAttempts": 2}]

    assert worst_case({"Type": "Task", "TimeoutSeconds": 10, "Retry": retriers}) == 4 * 10 + 1 + 5 + 10


def test_the_longest_path_is_that_of_the_slowest_branch_caught_or_not() -> None:
    def task(seconds: int, **more: object) -> dict[str, object]:
        return {"Type": "Task", "TimeoutSeconds": seconds} | more

    inner = {"StartAt": "Inner", "States": {"Inner": task(100, End=True)}}
    machine = {
        "StartAt": "First",
        "States": {
            "First": task(1, Next="Quick", Catch=[{"ErrorEquals": ["A"], "Next": "Slow"}]),
            "Quick": task(10, Next="End"),
            "Slow": {"Type": "Map", "ItemProcessor": inner, "Next": "End"},
            "End": {"Type": "Succeed"},
        },
    }

    assert longest_path(machine) == 1 + 100
