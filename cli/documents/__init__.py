"""What `make docs` writes: the documents that are made from the code."""
