"""What a cold start costs, and how large the package is: `make bench`. What a registration costs: `make cost`."""
