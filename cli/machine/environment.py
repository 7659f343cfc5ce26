"""The environment of what talks to this machine only: not the user's AWS account, and no proxy in between."""

from __future__ import annotations

import os
from urllib.request import getproxies_environment, proxy_bypass

HOST = "127.0.0.1"
REGION = "us-east-1"
# ministack takes this key for its account's root user, who may do everything. Functions get the
# keys of their own roles and are held to them.
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
    """Take every setting of AWS's tools from this process's environment: an account, a profile, an endpoint.

    Of what stays, none can be wrong: a profile that doesn't exist fails even a client with its own credentials.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        if name not in ROOT_OF_THE_EMULATOR:
            del os.environ[name]
    os.environ.update(ROOT_OF_THE_EMULATOR)


def no_proxy() -> dict[str, str]:
    """The user's exceptions from their proxies, and this machine, in both spellings: some tools read only one."""
    exceptions = getproxies_environment().get("no", "")
    if not proxy_bypass(HOST):
        exceptions = ",".join(filter(None, [exceptions, HOST]))
    return {"NO_PROXY": exceptions, "no_proxy": exceptions}
