# Lets pip, uv, npm and apt fetch through the machine's HTTP proxy and trust the authorities that are installed on it.
# Sourced by the scripts that fetch; what is set already stays as it is.
# shellcheck shell=bash

# What update-ca-certificates writes. A company's own authority is in it; the lists that pip, uv and Node bring are not.
authorities=/etc/ssl/certs/ca-certificates.crt
if [ -r "$authorities" ]; then
	export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
	export REQUESTS_CA_BUNDLE=${REQUESTS_CA_BUNDLE:-$authorities} # pip's; a `cert` of its configuration comes first
	export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$authorities}
fi

# apt reads the names in small letters only, and some programs those in capitals.
for name in http_proxy https_proxy no_proxy; do
	capitals=${name^^}
	value=${!name:-${!capitals:-}}
	[ -n "$value" ] || continue
	export "$name=$value" "$capitals=$value"
done
unset name capitals value
