"""AWS on this machine: start an emulator and deploy the real template to it.

    with emulator.start() as aws:
        stack = deploy.deploy(aws)

The template and ~/.aws stay untouched.
"""
