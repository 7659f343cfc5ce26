"""`make bench` measures cold starts and the package's size; `make outages` simulates outages."""
