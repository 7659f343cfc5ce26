"""AWS on one machine: start an emulator, deploy the real template to it, onboard customers.

    with emulator.start() as aws:
        stack = deploy.deploy(aws)

Nothing outside this folder knows of it, and nothing it does touches the template or ~/.aws.
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
# What may be kept from one run to the next: the build, SAM's caches, the state of `make up`.
WORKSPACE = PROJECT / ".local"
