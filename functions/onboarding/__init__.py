"""The domain of customer onboarding: what a registration is, its rules, its account, its e-mail, its events.

No module here imports a handler, and none reads the environment: handlers pass in what a call needs.
"""
