"""Each rule finds what it is there to find: the real definition, broken in one place, in each place that fits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.wiring import definition
from tests.wiring.definition import INVOKE, PUT_EVENTS, Machine, rendered
from tests.wiring.rules import data_flow, errors, graph, outcomes, publications, retries, saga, tasks
from tests.wiring.rules.everything import RULES
from tests.wiring.rules.registry import Rule

GONE = object()


@dataclass(frozen=True)
class Break:
    """One way to break a definition.

    `where` is a path through the document, its parts patterns, with `|` between alternatives: each place that it fits
    is broken by itself. `to` is what comes there, or a function of what is there, or `GONE`.
    """

    rule: Rule
    what: str
    where: str
    to: Any

    def definitions(self) -> Iterator[tuple[str, Machine]]:
        """The broken definitions, each with the place where it is."""
        *parents, last = self.where.split("/")
        for place, _ in _fitting(rendered(), parents):
            broken = deepcopy(rendered())
            node = _at(broken, place)
            keys = [key for key in _keys(node) if fits(last, key)]
            if not keys and not callable(self.to) and self.to is not GONE:
                keys = [last]
            for key in keys:
                copied = deepcopy(broken)
                self._break(_at(copied, place), key)
                yield "/".join(map(str, [*place, key])), copied

    def _break(self, node: Any, key: Any) -> None:
        if self.to is GONE:
            del node[key]
        else:
            node[key] = self.to(node[key]) if callable(self.to) else self.to


CALLS = "|".join(name for name, _ in definition.tasks(rendered(), INVOKE))
PUBLICATIONS = "|".join(name for name, _ in definition.tasks(rendered(), PUT_EVENTS))
# Those with a retrier beside that for all errors, and those that alone publish their event.
NAMING = "|".join(name for name, state in definition.tasks(rendered(), INVOKE) if len(state["Retry"]) > 1)
DETAIL_TYPES = {
    name: state["Arguments"]["Entries"][0]["DetailType"] for name, state in definition.tasks(rendered(), PUT_EVENTS)
}
ALONE = "|".join(name for name, it in DETAIL_TYPES.items() if list(DETAIL_TYPES.values()).count(it) == 1)
ENTRY = f"States/{PUBLICATIONS}/Arguments/Entries/0"
NOT_PROVISIONED = "States/PublishAccountNotProvisioned/Arguments/Entries/0"
IN_MAP = "States/*/ItemProcessor/States/*Account"
A_MAP: Machine = {
    "Type": "Map",
    "Comment": "Worst case 0 s for each 1 item.",
    "MaxConcurrency": 1,
    "Items": "{% [$registered] %}",
    "ItemProcessor": {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}},
    "Next": "Rejected",
}

INNER_ASSIGNMENT: Machine = {
    "StartAt": "Assign",
    "States": {"Assign": {"Type": "Pass", "Assign": {"inner": 1}, "End": True}},
}


def fits(pattern: str, key: str | int) -> bool:
    return any(fnmatchcase(str(key), alternative) for alternative in pattern.split("|"))


def counted_up(position: int) -> Callable[[str], str]:
    """The same text, with one of its numbers one higher."""

    def count_up(text: str) -> str:
        number = list(re.finditer(r"(?<![\w.])\d+(?![\w.])", text))[position]
        return f"{text[: number.start()]}{int(number[0]) + 1}{text[number.end() :]}"

    return count_up


def added(**new: Machine) -> Callable[[Machine], Machine]:
    """The same states, and new ones."""
    return lambda states: states | new


def renamed(old: str, new: str) -> Callable[[list[str]], list[str]]:
    """The same list, with one name misspelt."""
    return lambda names: [new if name == old else name for name in names]


BREAKS = [
    Break(graph.each_transition_leads_to_a_state, "a Next that dangles", "States/*/Next", "Nowhere"),
    Break(graph.each_transition_leads_to_a_state, "a Catch that dangles", "States/*/Catch/*/Next", "Nowhere"),
    Break(graph.each_transition_leads_to_a_state, "a start that dangles", "StartAt", "Nowhere"),
    Break(graph.each_transition_leads_to_a_state, "a state that is gone", "States/*", GONE),
    Break(
        graph.each_transition_leads_to_a_state,
        "a Default that dangles",
        "States",
        added(Choose={"Type": "Choice", "Choices": [], "Default": "Nowhere"}),
    ),
    Break(graph.each_state_can_be_reached, "a catch branch without its Catch", "States/*/Catch", GONE),
    Break(graph.each_state_can_be_reached, "a state that nothing leads to", "States", added(New={"Type": "Succeed"})),
    Break(graph.no_way_leads_back, "a way back", f"States/{CALLS}/Next", "PublishCustomerRegistered"),
    Break(graph.each_path_of_the_workflow_ends_in_succeed_or_fail, "a task without a Next", "States/*/Next", GONE),
    Break(
        graph.each_path_of_the_workflow_ends_in_succeed_or_fail,
        "a task as an end",
        f"States/{CALLS}|{PUBLICATIONS}/End",
        to=True,
    ),
    Break(graph.each_choice_has_a_default, "a Choice without", "States", added(Choose={"Type": "Choice"})),
    Break(
        graph.each_state_has_a_name_of_its_own,
        "a name inside and outside",
        "States",
        added(Map=A_MAP | {"ItemProcessor": {"StartAt": "Rejected", "States": {"Rejected": {"Type": "Succeed"}}}}),
    ),
    Break(data_flow.each_expression_is_well_formed, "a bracket left open", "States/*/Assign/*", "{% $parse( %}"),
    Break(data_flow.each_expression_is_well_formed, "text around it", f"{ENTRY}/Detail/customerId", "x{% 1 %}"),
    Break(data_flow.each_expression_is_well_formed, "no end", f"{ENTRY}/Detail/customerId", "{% $customerId"),
    Break(
        data_flow.each_expression_is_of_jsonata_as_step_functions_has_it,
        "??",
        "States/*/Assign/*",
        "{% $customerId ?? 'x' %}",
    ),
    Break(
        data_flow.each_expression_is_of_jsonata_as_step_functions_has_it,
        "?:",
        "States/*/Assign/*",
        "{% $customerId ?: 'x' %}",
    ),
    Break(
        data_flow.each_expression_is_of_jsonata_as_step_functions_has_it,
        "a bare field",
        "States/*/Assign/*",
        "{% customerId %}",
    ),
    Break(data_flow.each_expression_is_of_jsonata_as_step_functions_has_it, "$", "States/*/Assign/*", "{% $ %}"),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "never assigned",
        f"{ENTRY}/Detail/customerId",
        "{% $unknown %}",
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "no function of JSONata",
        f"{ENTRY}/Detail/customerId",
        "{% $eval('1') %}",
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "no longer assigned",
        "States/*/Assign",
        GONE,
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "not assigned by a Catch",
        "States/*/Catch/*/Assign",
        GONE,
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "assigned on another path",
        "States/Publish*Failed/Output/customerId",
        "{% $messageId %}",
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "assigned in the same state",
        "States/CreateAccount/Arguments/Payload/customerId",
        "{% $accountId %}",
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "assigned inside a Map only",
        "States",
        lambda states: (
            states
            | {
                "ValidateCustomer": states["ValidateCustomer"] | {"Next": "Map"},
                "Map": A_MAP | {"ItemProcessor": INNER_ASSIGNMENT, "Next": "Read"},
                "Read": {"Type": "Pass", "Output": "{% $inner %}", "Next": "Rejected"},
            }
        ),
    ),
    Break(
        data_flow.no_output_reads_what_its_own_state_assigns,
        "its own",
        "States/CreateAccount/Output",
        "{% $accountId %}",
    ),
    Break(
        data_flow.a_result_is_read_only_where_there_is_one,
        "in Arguments",
        f"States/{CALLS}/Arguments/Payload/customerId",
        "{% $states.result.Payload %}",
    ),
    Break(
        data_flow.a_result_is_read_only_where_there_is_one,
        "in a Catch",
        "States/*/Catch/*/Assign",
        {"errors": "{% $states.result %}"},
    ),
    Break(
        data_flow.an_error_is_read_only_where_it_is_caught,
        "in Assign",
        "States/*/Assign/*",
        "{% $states.errorOutput.Cause %}",
    ),
    Break(data_flow.nothing_reads_an_unknown_part_of_states, "misspelt", "States/*/Assign/*", "{% $states.inptu %}"),
    Break(
        data_flow.no_variable_has_the_name_of_a_function_or_of_one_outside,
        "of a function",
        "States/CreateAccount/Assign",
        {"count": 1},
    ),
    Break(
        data_flow.no_variable_has_the_name_of_a_function_or_of_one_outside,
        "of one outside",
        "States",
        added(
            Map=A_MAP
            | {
                "ItemProcessor": {
                    "StartAt": "Do",
                    "States": {"Do": {"Type": "Pass", "Assign": {"accountId": 1}, "End": True}},
                }
            }
        ),
    ),
    Break(data_flow.only_states_that_can_assign_do, "a Succeed that does", "States/Onboarded/Assign", {"x": 1}),
    Break(
        data_flow.the_items_of_a_map_are_an_array,
        "perhaps one",
        "States",
        added(Map=A_MAP | {"Items": "{% $registered[a=1] %}"}),
    ),
    Break(retries.each_task_has_a_timeout, "none", "States/*/TimeoutSeconds", GONE),
    Break(retries.each_task_says_its_worst_case, "no Comment", f"States/{PUBLICATIONS}/Comment", GONE),
    Break(retries.each_task_says_its_worst_case, "another time-out", "States/*/TimeoutSeconds", lambda it: it + 1),
    Break(retries.each_task_says_its_worst_case, "more attempts", "States/*/Retry/*/MaxAttempts", lambda it: it + 1),
    Break(retries.each_task_says_its_worst_case, "another cap", "States/*/Retry/*/MaxDelaySeconds", lambda it: it - 1),
    Break(
        retries.each_task_says_its_worst_case,
        "a Map's number",
        "States",
        added(Map=A_MAP | {"Comment": "Worst case 7 s."}),
    ),
    Break(
        retries.each_task_shows_how_its_worst_case_adds_up,
        "other factors",
        f"States/{CALLS}/Comment",
        counted_up(2),
    ),
    Break(
        retries.each_task_shows_how_its_worst_case_adds_up,
        "other waits",
        f"States/{PUBLICATIONS}/Comment",
        counted_up(-1),
    ),
    Break(retries.the_machine_says_its_longest_path_and_how_it_adds_up, "no Comment", "Comment", GONE),
    Break(
        retries.the_machine_says_its_longest_path_and_how_it_adds_up,
        "another sum",
        "Comment",
        counted_up(0),
    ),
    Break(
        retries.the_machine_says_its_longest_path_and_how_it_adds_up,
        "another number of publications",
        "Comment",
        counted_up(1),
    ),
    Break(
        retries.the_machine_says_its_longest_path_and_how_it_adds_up,
        "more attempts",
        "States/SendWelcomeEmail/Retry/1/MaxAttempts",
        lambda it: it + 1,
    ),
    Break(
        retries.the_longest_path_fits_the_timeout_of_the_machine,
        "too short",
        "TimeoutSeconds",
        int(retries.longest_path(rendered())) - 1,
    ),
    Break(retries.the_longest_path_fits_the_timeout_of_the_machine, "no task's", "States/SendW*/TimeoutSeconds", GONE),
    Break(retries.each_task_waits_longer_than_its_function_may_run, "as long", f"States/{CALLS}/TimeoutSeconds", 10),
    Break(retries.each_retry_backs_off_to_a_cap_with_full_jitter, "no cap", "States/*/Retry/*/MaxDelaySeconds", GONE),
    Break(retries.each_retry_backs_off_to_a_cap_with_full_jitter, "no jitter", "States/*/Retry/*/JitterStrategy", GONE),
    Break(
        retries.each_retry_backs_off_to_a_cap_with_full_jitter,
        "none",
        f"States/{PUBLICATIONS}/Retry/*/JitterStrategy",
        "NONE",
    ),
    Break(
        retries.each_retry_backs_off_to_a_cap_with_full_jitter,
        "no back-off",
        f"States/{PUBLICATIONS}/Retry/*/BackoffRate",
        1,
    ),
    Break(retries.each_transient_error_of_aws_is_retried, "no Retry", "States/*/Retry", GONE),
    Break(
        retries.each_transient_error_of_aws_is_retried,
        "another name",
        f"States/{PUBLICATIONS}/Retry/*/ErrorEquals",
        renamed("States.ALL", "States.Permissions"),
    ),
    Break(
        retries.each_transient_error_of_aws_is_retried,
        "no time-outs",
        f"States/{PUBLICATIONS}/Retry/*/ErrorEquals",
        renamed("States.ALL", "States.TaskFailed"),
    ),
    Break(
        retries.each_transient_error_of_aws_is_retried,
        "one not",
        f"States/{CALLS}/Retry/0/ErrorEquals",
        ["Sandbox.Timedout"],
    ),
    Break(
        errors.each_error_is_aws_s_or_one_that_the_function_raises,
        "misspelt",
        "States/*/Catch/*/ErrorEquals/0",
        lambda it: it + "s",
    ),
    Break(
        errors.each_error_is_aws_s_or_one_that_the_function_raises,
        "with its module",
        "States/*/Retry/0/ErrorEquals/0",
        lambda it: f"onboarding.domain.errors.{it}",
    ),
    Break(
        errors.each_error_is_aws_s_or_one_that_the_function_raises,
        "its base class",
        "States/*/Catch/*/ErrorEquals/0",
        "Exception",
    ),
    Break(
        errors.each_error_is_aws_s_or_one_that_the_function_raises,
        "another function's",
        "States/CreateAccount/Catch/0/ErrorEquals/0",
        "CustomerInvalid",
    ),
    Break(
        errors.each_business_error_is_named_where_it_is_raised,
        "not at all",
        f"States/{NAMING}",
        lambda it: {key: value for key, value in it.items() if key not in {"Catch", "Retry"}},
    ),
    Break(
        errors.each_business_error_has_a_task_that_names_it,
        "nowhere",
        f"States/{NAMING}",
        lambda it: {key: value for key, value in it.items() if key not in {"Catch", "Retry"}},
    ),
    Break(errors.each_named_error_of_a_function_has_a_retrier_of_its_own, "none", f"States/{NAMING}/Retry/0", GONE),
    Break(errors.what_the_workflow_catches_is_not_retried, "retried", f"States/{NAMING}/Retry/0/MaxAttempts", 1),
    Break(errors.what_the_workflow_catches_is_not_retried, "by default", f"States/{NAMING}/Retry/0/MaxAttempts", GONE),
    Break(errors.what_is_not_caught_by_name_is_not_caught, "all", "States/*/Catch/*/ErrorEquals", ["States.ALL"]),
    Break(
        errors.what_is_not_caught_by_name_is_not_caught, "any", "States/*/Catch/*/ErrorEquals", ["States.TaskFailed"]
    ),
    Break(
        errors.the_match_for_all_errors_stands_alone_and_last, "first", f"States/{NAMING}/Retry", lambda it: it[::-1]
    ),
    Break(
        errors.the_match_for_all_errors_stands_alone_and_last,
        "not alone",
        "States/*/Retry/*/ErrorEquals",
        ["States.ALL", "States.Timeout"],
    ),
    Break(errors.no_error_is_named_twice_in_one_list, "twice", f"States/{CALLS}/Retry", lambda it: [it[0], *it]),
    Break(
        tasks.each_task_calls_an_integration_that_is_looked_into_here,
        "another",
        f"States/{CALLS}|{PUBLICATIONS}/Resource",
        "arn:aws:states:::sns:publish",
    ),
    Break(
        tasks.each_function_that_is_called_is_the_template_s,
        "another",
        f"States/{CALLS}/Arguments/FunctionName",
        "other",
    ),
    Break(
        tasks.each_function_that_is_called_is_the_template_s,
        "a version",
        f"States/{CALLS}/Arguments/FunctionName",
        lambda it: f"{it}:1",
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "a misspelt key of the answer",
        "States/*/Assign/*",
        "{% $states.result.Payload.custmer %}",
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "a misspelt field of the input",
        "States/PublishCustomerRegistered/Assign/*",
        "{% $states.input.customerID %}",
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "an optional field",
        f"{ENTRY}/Detail/customerId",
        "{% $registered.phone %}",
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "of the Cause",
        "States/*/Catch/*/Assign/*",
        "{% $parse($states.errorOutput.Cause).errors %}",
    ),
    Break(
        tasks.each_payload_is_what_the_function_parses_and_no_more,
        "one missing",
        f"States/{CALLS}/Arguments/Payload/*",
        GONE,
    ),
    Break(
        tasks.each_payload_is_what_the_function_parses_and_no_more,
        "one too many",
        f"States/{CALLS}/Arguments/Payload/x",
        1,
    ),
    Break(
        tasks.each_payload_is_what_the_function_parses_and_no_more,
        "wrong",
        f"States/{CALLS}/Arguments/Payload/customerId",
        1,
    ),
    Break(
        publications.each_publication_is_an_event_of_the_contract, "misspelt", f"{ENTRY}/DetailType", "CustomerCreated"
    ),
    Break(
        publications.each_event_of_the_contract_is_published,
        "another one",
        f"States/{ALONE}/Arguments/Entries/0/DetailType",
        "Other",
    ),
    Break(publications.each_publication_has_the_source_of_the_contract, "another", f"{ENTRY}/Source", "custom"),
    Break(publications.each_publication_goes_to_the_template_s_bus, "none", f"{ENTRY}/EventBusName", GONE),
    Break(publications.each_publication_goes_to_the_template_s_bus, "default", f"{ENTRY}/EventBusName", "default"),
    Break(publications.each_detail_is_what_the_contract_says_and_no_more, "less", f"{ENTRY}/Detail/[!s]*|status", GONE),
    Break(publications.each_detail_is_what_the_contract_says_and_no_more, "more", f"{ENTRY}/Detail/x", 1),
    Break(
        publications.each_detail_is_what_the_contract_says_and_no_more,
        "less metadata",
        f"{ENTRY}/Detail/metadata/*",
        GONE,
    ),
    Break(
        publications.each_detail_is_what_the_contract_says_and_no_more, "more metadata", f"{ENTRY}/Detail/metadata/x", 1
    ),
    Break(
        publications.each_detail_is_what_the_contract_says_and_no_more,
        "another version",
        f"{ENTRY}/Detail/metadata/schemaVersion",
        "2.0",
    ),
    Break(
        publications.each_event_has_an_id_that_a_repetition_has_too,
        "random",
        f"{ENTRY}/Detail/metadata/eventId",
        "{% $uuid() %}",
    ),
    Break(
        publications.each_event_tells_of_its_registration_and_when_it_happened,
        "no customer",
        f"{ENTRY}/Detail/customerId",
        "x",
    ),
    Break(
        publications.each_event_tells_of_its_registration_and_when_it_happened,
        "no correlation",
        f"{ENTRY}/Detail/metadata/correlationId",
        "x",
    ),
    Break(
        publications.each_event_tells_of_its_registration_and_when_it_happened,
        "now",
        f"{ENTRY}/Detail/metadata/occurredAt",
        "{% $now() %}",
    ),
    Break(
        publications.each_event_tells_of_its_registration_and_when_it_happened,
        "registered now",
        "States/PublishCustomerRegistered/Arguments/Entries/0/Detail/registeredAt",
        "{% $states.context.State.EnteredTime %}",
    ),
    Break(
        publications.no_path_publishes_an_event_twice,
        "the same",
        "States/PublishCustomerV*ted/Arguments/Entries",
        lambda it: it + it,
    ),
    Break(
        publications.each_path_publishes_at_its_first_and_at_its_last_transition,
        "past it",
        f"States/{CALLS}/Next",
        "Onboarded",
    ),
    Break(
        publications.each_path_publishes_at_its_first_and_at_its_last_transition,
        "past it by a Catch",
        "States/*/Catch/*/Next",
        "Rejected",
    ),
    Break(outcomes.each_output_says_what_became_of_the_customer, "no Output", "States/*/Output", GONE),
    Break(outcomes.each_output_says_what_became_of_the_customer, "less", "States/*/Output/*", GONE),
    Break(outcomes.each_output_says_what_became_of_the_customer, "more", "States/*/Output/x", 1),
    Break(outcomes.each_output_says_what_became_of_the_customer, "another", "States/*/Output/status", "DONE"),
    Break(
        outcomes.each_output_says_what_became_of_the_customer, "another state", "States/P*EmailFailed/Next", "Onboarded"
    ),
    Break(outcomes.the_output_stands_on_the_last_task, "on the end", "States/Onboarded/Output", {}),
    Break(outcomes.each_failure_says_why, "no Cause", "States", added(Failed={"Type": "Fail", "Error": "x"})),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "never assigned, in a Map",
        f"{IN_MAP}/Arguments/Payload/customerId",
        "{% $unknown %}",
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "assigned on the other path, in a compensation",
        "States/CancelAccount/Arguments/Payload/customerId",
        "{% $messageId %}",
    ),
    Break(
        data_flow.each_variable_is_assigned_on_every_path_to_where_it_is_read,
        "never assigned, in a compensation's items",
        "States/DeprovisionAccounts/Items",
        "{% [$provisioned.system] %}",
    ),
    Break(
        data_flow.the_items_of_a_map_are_an_array,
        "perhaps one system",
        "States/DeprovisionAccounts/Items",
        "{% $systems.system %}",
    ),
    Break(retries.each_task_has_a_timeout, "none, in a Map", f"{IN_MAP}/TimeoutSeconds", GONE),
    Break(retries.each_task_says_its_worst_case, "a Map's task", f"{IN_MAP}/TimeoutSeconds", lambda it: it + 1),
    Break(retries.each_task_shows_how_its_worst_case_adds_up, "a Map's task", f"{IN_MAP}/Comment", counted_up(1)),
    Break(retries.each_map_says_for_how_many_items_its_worst_case_is, "more", "States/*Accounts/MaxConcurrency", 11),
    Break(
        retries.each_map_says_for_how_many_items_its_worst_case_is, "no limit", "States/*Accounts/MaxConcurrency", GONE
    ),
    Break(
        retries.each_map_says_for_how_many_items_its_worst_case_is, "no number", "States/*s/Comment", "Worst case 1 s."
    ),
    Break(
        retries.the_machine_says_its_longest_path_and_how_it_adds_up,
        "a slower system",
        "States/ProvisionAccounts/ItemProcessor/States/*/TimeoutSeconds",
        lambda it: it + 1,
    ),
    Break(
        retries.each_task_waits_longer_than_its_function_may_run, "as long, in a Map", f"{IN_MAP}/TimeoutSeconds", 35
    ),
    Break(retries.each_transient_error_of_aws_is_retried, "no Retry, in a Map", f"{IN_MAP}/Retry", GONE),
    Break(
        retries.each_transient_error_of_aws_is_retried,
        "one of DynamoDB",
        "States/ActivateAccount/Retry/0/ErrorEquals",
        ["States.Timeout", "DynamoDB.ThrottlingException"],
    ),
    Break(
        errors.each_error_is_aws_s_or_one_that_the_function_raises,
        "misspelt, in a Map",
        f"{IN_MAP}/Catch/*/ErrorEquals/0",
        lambda it: it + "s",
    ),
    Break(
        errors.what_is_not_caught_by_name_is_not_caught,
        "all, in a Map",
        f"{IN_MAP}/Catch/*/ErrorEquals",
        ["States.ALL"],
    ),
    Break(tasks.each_way_out_of_a_state_is_taken_on_some_path, "always", "States/*/Choices/*/Condition", "{% true %}"),
    Break(tasks.each_way_out_of_a_state_is_taken_on_some_path, "never", "States/*/Choices/*/Condition", "{% false %}"),
    Break(
        tasks.each_way_out_of_a_state_is_taken_on_some_path,
        "a misspelt status",
        "States/*/Choices/*/Condition",
        lambda it: it.replace("PROVISIONED", "PROVIDED"),
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "another table's key",
        "States/ActivateAccount/Arguments/Key",
        {"id": {"S": "{% 'CUSTOMER#' & $customerId %}"}},
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "another item",
        "States/ActivateAccount/Arguments/Key/pk/S",
        "{% 'customer#' & $customerId %}",
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "another table",
        "States/ActivateAccount/Arguments/TableName",
        "Customers",
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "another attribute",
        "States/ActivateAccount/Arguments/ExpressionAttributeNames",
        {"#status": "state"},
    ),
    Break(
        tasks.each_expression_has_a_value_on_each_path,
        "a status that no account has",
        "States/ActivateAccount/Arguments/ExpressionAttributeValues/:pending/S",
        "NEW",
    ),
    Break(
        tasks.each_payload_is_what_the_function_parses_and_no_more,
        "one missing, in a Map",
        f"{IN_MAP}/Arguments/Payload/*",
        GONE,
    ),
    Break(
        tasks.each_function_that_is_called_is_the_template_s,
        "another, in a Map",
        f"{IN_MAP}/Arguments/FunctionName",
        "other",
    ),
    Break(
        saga.each_iteration_on_the_way_to_a_success_catches_the_foreseen_failures_and_no_others,
        "none",
        "States/ProvisionAccounts/ItemProcessor/States/*/Catch",
        GONE,
    ),
    Break(
        saga.each_iteration_on_the_way_to_a_success_catches_the_foreseen_failures_and_no_others,
        "one less",
        f"{IN_MAP}/Catch/*/ErrorEquals/*",
        GONE,
    ),
    Break(
        saga.each_iteration_on_the_way_to_a_success_catches_the_foreseen_failures_and_no_others,
        "one that nobody foresaw",
        f"{IN_MAP}/Catch/*/ErrorEquals",
        lambda it: [*it, "States.Permissions"],
    ),
    Break(
        saga.nothing_is_caught_where_the_execution_can_only_fail,
        "by a compensation",
        "States/CancelAccount|PublishAccountNotProvisioned/Catch",
        [{"ErrorEquals": ["States.Timeout"], "Next": "AccountNotProvisioned"}],
    ),
    Break(
        saga.nothing_is_caught_where_the_execution_can_only_fail,
        "by an iteration of one",
        "States/DeprovisionAccounts/ItemProcessor/States/*/Catch",
        [{"ErrorEquals": ["DownstreamRefused"], "Next": "DeprovisionAccount"}],
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "no deprovisioning",
        "States/DecideOnProvisioning/Default",
        "CancelAccount",
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "no cancelling",
        "States/DeprovisionAccounts/Next",
        "PublishAccountNotProvisioned",
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "only where it was provisioned",
        "States/DeprovisionAccounts/Items",
        "{% [$systems[status = 'PROVISIONED'].system] %}",
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "only where it was not",
        "States/DeprovisionAccounts/Items",
        "{% [$systems[status != 'PROVISIONED'].system] %}",
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "only the first",
        "States/DeprovisionAccounts/Items",
        "{% [$systems[0].system] %}",
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "another customer's",
        "States/DeprovisionAccounts/ItemProcessor/States/*/Arguments/Payload/customerId",
        "{% $accountId %}",
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "the address is free before",
        "States",
        lambda states: (
            states
            | {
                "DecideOnProvisioning": states["DecideOnProvisioning"] | {"Default": "CancelAccount"},
                "CancelAccount": states["CancelAccount"] | {"Next": "DeprovisionAccounts"},
                "DeprovisionAccounts": states["DeprovisionAccounts"] | {"Next": "PublishAccountNotProvisioned"},
            }
        ),
    ),
    Break(
        saga.a_failure_undoes_all_that_was_done_the_last_first,
        "what nothing undoes",
        "States/PublishWelcomeEmail*/Next",
        "AccountNotProvisioned",
    ),
    Break(saga.a_success_undoes_nothing, "it does", "States/PublishAccountNotProvisioned/Next", "Rejected"),
    Break(
        saga.each_end_leaves_the_account_and_its_address_as_they_should_be,
        "never activated",
        "States/*/Choices/*/Next",
        "PublishCustomerAccountCreated",
    ),
    Break(
        saga.each_end_leaves_the_account_and_its_address_as_they_should_be,
        "misspelt",
        "States/ActivateAccount/Arguments/ExpressionAttributeValues/:active/S",
        "Active",
    ),
    Break(
        saga.each_end_leaves_the_account_and_its_address_as_they_should_be,
        "not cancelled",
        "States/DeprovisionAccounts/Next",
        "PublishAccountNotProvisioned",
    ),
    Break(saga.a_failure_tells_which_systems_failed_and_how, "none", f"{NOT_PROVISIONED}/Detail/systems", GONE),
    Break(
        saga.a_failure_tells_which_systems_failed_and_how,
        "all",
        f"{NOT_PROVISIONED}/Detail/systems",
        "{% [$systems] %}",
    ),
    Break(
        saga.a_failure_tells_which_systems_failed_and_how,
        "the wrong way",
        f"{IN_MAP}/Catch/*/Output/status",
        lambda it: {"REFUSED": "UNAVAILABLE", "UNAVAILABLE": "REFUSED"}[it],
    ),
    Break(
        saga.a_failure_tells_which_systems_failed_and_how,
        "all in the Cause",
        "States/AccountNotProvisioned/Cause",
        "{% $join([$systems.system], ', ') %}",
    ),
    Break(
        saga.a_failure_tells_which_systems_failed_and_how,
        "none in the Cause",
        "States/AccountNotProvisioned/Cause",
        "It was not.",
    ),
    Break(
        saga.a_failure_tells_nothing_personal,
        "whose it is",
        "States/AccountNotProvisioned/Cause",
        "{% 'No account for ' & $customer.email %}",
    ),
]


@pytest.mark.parametrize("broken", BREAKS, ids=lambda it: f"{it.rule.__name__}: {it.what}")
def test_a_broken_definition_is_found(broken: Break) -> None:
    machines = list(broken.definitions())

    assert machines
    assert [place for place, machine in machines if not list(broken.rule(machine))] == []


def test_each_rule_has_a_definition_that_breaks_it() -> None:
    assert {broken.rule for broken in BREAKS} == set(RULES)


def _fitting(node: Any, patterns: list[str], place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if not patterns:
        yield place, node
        return
    for key in _keys(node):
        if fits(patterns[0], key):
            yield from _fitting(node[key], patterns[1:], (*place, key))


def _keys(node: Any) -> list[Any]:
    return list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []


def _at(node: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        node = node[key]
    return node
