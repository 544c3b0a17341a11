"""The signaling socket of every browser, relayed to Janus."""
