"""The signaling dialect between the browser SDK and Janus, pure."""
