"""The listening socket: connections and their limits, HTTP/1.1 and WebSocket."""
