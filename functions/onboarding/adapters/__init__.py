"""Adapters to AWS (tables, queues, bus, workflow, mail) and to the downstream systems.

Clients are arguments. A call that AWS refuses raises `botocore.exceptions.ClientError`.
"""
