"""A partner's system, run on this machine: a real HTTP server that implements docs/downstream.openapi.json.

    with Partner("crm", folder / "crm.sqlite", ApiKeys()) as crm:
        crm.plan("ada@example.com", Fault(FaultKind.UNAVAILABLE, times=2))

It keeps its accounts in SQLite, and fails on demand. It uses nothing of the functions: it is the contract's other side.
"""

from cli.downstream.partner.authentication import ApiKeys, ClientCredentials
from cli.downstream.partner.faults import Fault, FaultKind
from cli.downstream.partner.partner import Partner

__all__ = ["ApiKeys", "ClientCredentials", "Fault", "FaultKind", "Partner"]
