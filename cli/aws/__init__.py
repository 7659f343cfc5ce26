"""A deployed stack and its executions, as AWS's APIs have them: the same on this machine."""
