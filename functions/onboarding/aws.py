"""How the functions call AWS."""

from botocore.config import Config

# An attempt takes 4 s at most, and two of them with the wait between fit each function's 10 s: botocore's error comes
# before Lambda's time-out, and says what happened. https://docs.aws.amazon.com/boto3/latest/guide/retries.html
CALL = Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})

# For a call that must not be made twice: the state machine repeats the task, which is recorded.
CALL_ONCE = Config(connect_timeout=1, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})
