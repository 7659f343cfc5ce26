"""The state machine in the template, and what the definition takes from it."""

from __future__ import annotations

from tests.wiring import definition, template
from tests.wiring.rules.retries import attempts_of, retrier_for, waits_of

(MACHINE,) = template.resources("AWS::StepFunctions::StateMachine").values()


def test_every_substitution_is_used_and_every_one_used_is_defined() -> None:
    used = set(definition.SUBSTITUTION.findall(definition.text()))

    assert used == definition.substitutions().keys()


def test_nothing_is_left_to_substitute() -> None:
    assert "${" not in definition.SUBSTITUTION.sub("", definition.text())


def test_functions_are_called_by_their_alias_so_that_a_redrive_meets_mended_code() -> None:
    for _, state in definition.tasks(definition.rendered(), definition.INVOKE):
        assert state["Arguments"]["FunctionName"].rpartition(":")[2] == "live"


def test_it_is_a_standard_workflow_which_alone_can_be_redriven() -> None:
    assert MACHINE["StateMachineType"] == "STANDARD"


def test_it_logs_each_step_and_nothing_personal() -> None:
    logging = MACHINE["LoggingConfiguration"]

    assert logging["Level"] == "ALL"
    assert logging["IncludeExecutionData"] is False


def test_its_log_group_is_where_a_resource_policy_can_t_outgrow() -> None:
    # https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
    for destination in MACHINE["LoggingConfiguration"]["Destinations"]:
        assert ":log-group:/aws/vendedlogs/" in destination["CloudWatchLogsLogGroup"]["LogGroupArn"]


def test_it_is_traced() -> None:
    assert MACHINE["TracingConfiguration"] == {"Enabled": True}


def test_a_mail_outage_is_ridden_out_for_hours_and_a_blocked_sender_is_not() -> None:
    state = definition.rendered()["States"]["SendWelcomeEmail"]
    outage = retrier_for(state, "EmailServiceUnavailable")
    blocked = retrier_for(state, "EmailSenderBlocked")

    assert outage
    assert blocked
    assert waits_of(outage) / 2 >= 3 * 60 * 60  # full jitter halves them on average
    assert attempts_of(blocked) == 0
