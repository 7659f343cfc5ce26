"""`make bench` measures cold starts and the package's size; `make cost` says what a registration costs."""
