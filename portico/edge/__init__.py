"""What stands in front of the server on a public machine: TLS, redirects and certificates by Caddy or HAProxy."""
