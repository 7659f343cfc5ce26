"""The demo: customers, onboarded by the stack on this machine, and a verdict on what came of each."""
