# Installs Debian packages that are missing; sourced by script/setup and script/build-janus.
# shellcheck shell=bash

say() { printf '==> %s\n' "$*" >&2; }

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# Runs a command without its output, unless it fails.
quietly() {
	local output status=0
	output=$("$@" 2>&1 </dev/null) || status=$?
	[ "$status" -eq 0 ] || printf '%s\n' "$output" >&2
	return "$status"
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		# sudo clears the environment. It is asked to keep the proxies only where there are some: a rule may forbid that.
		if [ -n "${http_proxy:-}${https_proxy:-}" ]; then
			sudo --preserve-env=http_proxy,https_proxy,no_proxy "$@"
		else
			sudo "$@"
		fi
	else
		die "\"$*\" has to run as root: run this script as root, or install sudo."
	fi
}

# dpkg -s also succeeds for a removed package whose configuration is still there.
is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# The package lists are fetched at most once per run, and only when something has to be installed.
apt_updated=
apt_update_once() {
	[ -n "$apt_updated" ] && return
	command -v apt-get >/dev/null || die "this machine has no apt-get: install Debian's packages $* by other means."
	say "fetching Debian's package lists"
	quietly as_root apt-get -qq -o DPkg::Lock::Timeout=300 update
	apt_updated=yes
}

# policy-rc.d is what Debian's maintainer scripts ask before they start a service. Ours says no to starts, so that no new
# package's service runs, and to stops, so that a service that is upgraded on the way goes on; restarts are as ever. A
# policy that was there before stays in force.
policy_file=/usr/sbin/policy-rc.d
policy_is_ours=
forbid_service_starts() {
	[ -e "$policy_file" ] && return
	printf '%s\n' '#!/bin/sh' "# Put here by Portico's script/setup for the length of one package installation." \
		"case \"\$2\" in start | stop) exit 101 ;; esac" | as_root tee "$policy_file" >/dev/null
	as_root chmod 0755 "$policy_file"
	policy_is_ours=yes
}
allow_service_starts() {
	[ -z "$policy_is_ours" ] || as_root rm -f "$policy_file"
	policy_is_ours=
}

apt_install() {
	local wanted=() package
	for package in "$@"; do
		is_installed "$package" || wanted+=("$package")
	done
	[ "${#wanted[@]}" -gt 0 ] || return 0
	apt_update_once "${wanted[@]}"
	say "installing ${wanted[*]}"
	quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
		install --no-install-recommends "${wanted[@]}"
}
