"""The environment of tools that talk to the emulator only: no AWS account of the user's, and no proxy."""

import os
from urllib.request import getproxies_environment, proxy_bypass

HOST = "127.0.0.1"
REGION = "us-east-1"
# ministack's key of the root user. Functions get keys of their roles, and only those permissions.
ROOT_KEY = "test"

ROOT_OF_THE_EMULATOR = {
    "AWS_ACCESS_KEY_ID": ROOT_KEY,
    "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def forget_aws() -> None:
    """Replace all AWS settings in this process's environment.

    A profile that doesn't exist would fail even a client with explicit credentials.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        if name not in ROOT_OF_THE_EMULATOR:
            del os.environ[name]
    os.environ.update(ROOT_OF_THE_EMULATOR)


def no_proxy() -> dict[str, str]:
    """The user's NO_PROXY with this machine added, in both spellings: some tools read only one."""
    exceptions = getproxies_environment().get("no", "")
    if not proxy_bypass(HOST):
        exceptions = ",".join(filter(None, [exceptions, HOST]))
    return {"NO_PROXY": exceptions, "no_proxy": exceptions}
