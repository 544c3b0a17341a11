"""Background work: jobs and deliveries that transactions have queued, and periodic care of files and rows."""
