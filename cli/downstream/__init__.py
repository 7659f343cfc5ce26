"""The downstream systems of this machine: two partners that speak HTTP, and one that reads a queue."""
