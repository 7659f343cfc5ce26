"""What became of the registrations: the analytics that the API tells, as a table and as a picture."""
