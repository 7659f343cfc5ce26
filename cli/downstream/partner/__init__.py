"""A fake downstream system: an HTTP server that implements docs/downstream.openapi.json, and fails on demand.

    with Partner("crm", ApiKeys()) as crm:
        crm.plan("ada@example.com", Fault(FaultKind.UNAVAILABLE, times=2))

As the other side of the contract, it uses none of the functions' code.
"""

from cli.downstream.partner.authentication import ApiKeys, ClientCredentials
from cli.downstream.partner.faults import Fault, FaultKind
from cli.downstream.partner.partner import Partner

__all__ = ["ApiKeys", "ClientCredentials", "Fault", "FaultKind", "Partner"]
