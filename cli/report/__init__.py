"""The API's analytics as a table and a chart."""
