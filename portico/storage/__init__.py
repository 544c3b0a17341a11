"""Object storage: a local folder or S3."""
