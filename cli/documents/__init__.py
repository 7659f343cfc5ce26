"""`make docs`: the documents generated from the code."""
