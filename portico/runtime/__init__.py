"""What every process needs: children, durable writes, loops, logs."""
