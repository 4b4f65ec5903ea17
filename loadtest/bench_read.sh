#!/bin/sh
# Fills a ledger, unless its data folder has it already, and runs loadtest's bench of reads against
# it: loadtest/bench_read.sh DATA EVENTS [flags of the bench]. The folder stays. FILL holds more
# flags of the fill.
set -eu
data=${1:?a data folder} events=${2:?how many events, like 100M}
shift 2
mkdir -p "$data"
data=$(cd "$data" && pwd)
cd "$(dirname "$0")/.."

server=
stop() {
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	[ -z "$server" ] || wait "$server" 2>/dev/null || true
	server=
}
trap stop EXIT
trap 'exit 1' INT TERM

start() {
	bin/meterhouse serve --data "$data" --listen 127.0.0.1:0 "$@" >"$data/out" 2>"$data/err" &
	server=$!
	url=
	while [ -z "$url" ]; do
		kill -0 "$server" 2>/dev/null || { cat "$data/err" >&2; exit 1; }
		sleep 0.2
		url=$(sed -n 's/.*accepts requests on \(.*\)/\1/p' "$data/out")
	done
}

# The catalog names the agents that the fill makes, so that serve starts again with it.
start
# shellcheck disable=SC2086
bin/loadtest fill --engine-endpoint "$data/engine/endpoint" --events "$events" \
	--catalog "$data/fill.yaml" --engine-timeout 30m ${FILL:-}
stop
start --catalog "$data/fill.yaml"
bin/loadtest bench --read --url "$url" --token dop_v1_fill_0 --tracker-token dop_v1_fill_1 \
	--engine-endpoint "$data/engine/endpoint" --timeout 2m "$@"
