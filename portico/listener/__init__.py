"""The listening socket: connections with their limits, and the two protocols that they speak."""
