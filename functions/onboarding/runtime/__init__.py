"""What Lambda needs: clients of AWS, API Gateway's requests, SQS's batches, failures in the log."""
