"""Fraud detection: what `detect_fraud` finds suspicious in a validated customer.

The rules (`onboarding.fraud.rules`) say what speaks against a customer; `onboarding.fraud.detection` counts what is
repeated, adds up the weights and tells who is suspected, and why.
"""
