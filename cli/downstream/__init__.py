"""The local downstream systems: two fakes that speak HTTP, called partners, and one that reads a queue."""
