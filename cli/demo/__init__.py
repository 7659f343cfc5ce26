"""The demo: onboards sample customers on this machine and checks each result."""
