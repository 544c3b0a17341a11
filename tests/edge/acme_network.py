"""Run in a network and mounts of its own: an authority with ACME, a public server, and the certificate that it has.

`python acme_network.py FOLDER JANUS TURN_DOMAIN` prints the name and the issuer of the certificate of HTTPS.
"""

import json
import ssl
import subprocess
import sys
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.edge.public import handshake
from tests.servers import PorticoServer
from tests.waiting import wait_until

DOMAIN, AUTHORITY, AUTHORITY_PORT = "video.example.org", "ca.example.org", 9443


def main(folder: Path, janus: str, turn_domain: str) -> None:
    """Everything; the processes end with the block that started them."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {AUTHORITY} {DOMAIN} {turn_domain}\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    root = folder / "authority" / "pki" / "authorities" / "local" / "root.crt"
    file = folder / "authority.json"
    file.write_text(json.dumps(authority_config(folder / "authority")))
    with subprocess.Popen(
        ["caddy", "run", "--config", file], env={"HOME": str(folder)}, stderr=subprocess.DEVNULL
    ) as authority:
        try:
            wait_until(root.exists)
            trust = ssl.create_default_context(cafile=root)
            wait_until(lambda: handshake(AUTHORITY_PORT, AUTHORITY, trust) is not None)
            # Where programs look for the system's authorities, readable for Caddy's user.
            system = folder / "system.crt"
            system.write_bytes(root.read_bytes())
            system.chmod(0o644)
            subprocess.run(["mount", "--bind", system, "/etc/ssl/certs/ca-certificates.crt"], check=True)
            settings = {"TURN_DOMAIN": turn_domain, "DOMAIN": DOMAIN, "JANUS_BIN": janus, "HTTP_PORT": "80"}
            settings["MEDIA_INTERFACE"] = "lo"  # there is no other in this network
            url = f"https://{AUTHORITY}:{AUTHORITY_PORT}/acme/local/directory"
            with PorticoServer(folder / "data", ACME_URL=url, **settings):
                wait_until(lambda: handshake(443, DOMAIN, trust) is not None)
                certificate = x509.load_der_x509_certificate(handshake(443, DOMAIN, trust) or b"")
                (issuer,) = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
                print(f"{DOMAIN}: {issuer.value!s}")
        finally:
            authority.terminate()


def authority_config(storage: Path) -> dict[str, object]:
    """A Caddy that is an authority with ACME."""
    routes = [{"match": [{"host": [AUTHORITY]}], "handle": [{"handler": "acme_server"}]}]
    server = {
        "listen": [f":{AUTHORITY_PORT}"],
        "automatic_https": {"disable": True},
        "tls_connection_policies": [{}],
        "routes": routes,
    }
    return {
        "admin": {"disabled": True},
        "storage": {"module": "file_system", "root": str(storage)},
        "apps": {
            "pki": {"certificate_authorities": {"local": {"install_trust": False}}},
            "http": {"servers": {"acme": server}},
            "tls": {
                "certificates": {"automate": [AUTHORITY]},
                "automation": {"policies": [{"issuers": [{"module": "internal"}]}]},
            },
        },
    }


main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
