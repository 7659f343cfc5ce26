"""A deployed stack and its queues, through AWS's APIs: the same here and on AWS."""
