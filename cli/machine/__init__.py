"""AWS on one machine: start an emulator, and deploy the real template to it.

    with emulator.start() as aws:
        stack = deploy.deploy(aws)

Nothing that it does touches the template or ~/.aws.
"""
