"""One module a kind of downstream system.

Each has a function `adapter(settings, credentials, remaining)` that returns an `onboarding.downstream.Adapter`:
`settings` is the system's document, `credentials(anew=False)` returns its secret, `remaining()` the seconds left.
"""
