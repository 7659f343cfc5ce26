"""A deployed stack, its executions and queues, through AWS's APIs: the same here and on AWS."""
