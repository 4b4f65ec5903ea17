#!/bin/sh
# Starts Meterhouse on a fresh data folder, runs loadtest's bench against it, and stops it. What is
# given is passed on: loadtest/bench.sh --only raia --rounds 5
set -eu
cd "$(dirname "$0")/.."

data=$(mktemp -d)
bin/meterhouse serve --demo --data "$data" --listen 127.0.0.1:0 >"$data/out" 2>"$data/err" &
server=$!
stop() {
	kill "$server" 2>/dev/null || true
	wait "$server" 2>/dev/null || true
	rm -rf "$data"
}
trap stop EXIT
trap 'exit 1' INT TERM

url=
while [ -z "$url" ]; do
	kill -0 "$server" 2>/dev/null || { cat "$data/err" >&2; exit 1; }
	sleep 0.2
	url=$(sed -n 's/.*accepts requests on \(.*\)/\1/p' "$data/out")
done
bin/loadtest bench --url "$url" --agents loadtest/demo-agents.csv --token dop_v1_demo_ada \
	--engine-endpoint "$data/engine/endpoint" "$@"
