"""The way out: AWS's tables, queues, bus, workflow and mail, and the downstream systems.

Clients are handed in. What AWS refuses for now raises `botocore.exceptions.ClientError`.
"""
