#!/bin/sh
# Installs the engine library for this platform from npm, showing how far it is: npm itself says
# nothing for the minute that 167 MB may take.
set -eu
cd "$(dirname "$0")"

version=$(sed -n 's/.*"@chdb\/lib-linux-x64-gnu": *"\([^"]*\)".*/\1/p' package.json)
case "$(uname -s)-$(uname -m)" in
Linux-x86_64) platform=linux-x64-gnu ;;
Linux-aarch64) platform=linux-arm64-gnu ;;
Darwin-x86_64) platform=darwin-x64 ;;
Darwin-arm64) platform=darwin-arm64 ;;
*)
	echo "engine: there is no library for $(uname -s) $(uname -m); set LIBCHDB_PATH to one" >&2
	exit 1
	;;
esac
command -v npm >/dev/null || {
	echo "engine: npm is needed to fetch the library (Node 20 brings it)" >&2
	exit 1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ "$platform" = linux-x64-gnu ]; then
	npm ci --no-audit --no-fund >"$log" 2>&1 &
else
	# The lock names one platform's package: a lock with a package that npm cannot see fails.
	npm install --no-save --no-package-lock --no-audit --no-fund --force \
		"@chdb/lib-$platform@$version" >"$log" 2>&1 &
fi
npm=$!

unpacked=566 # MB, on linux-x64
echo "engine: fetching libchdb $version for $platform (167 MB, once)"
seconds=0
while kill -0 "$npm" 2>/dev/null; do
	sleep 1
	seconds=$((seconds + 1))
	have=$(du -sm node_modules 2>/dev/null | cut -f1)
	if [ -t 1 ]; then
		printf '\rengine: %4s of about %s MB unpacked, %s s ' "${have:-0}" "$unpacked" "$seconds"
	elif [ $((seconds % 5)) -eq 0 ]; then
		echo "engine: ${have:-0} of about $unpacked MB unpacked, $seconds s"
	fi
done
[ ! -t 1 ] || echo
if ! wait "$npm"; then
	cat "$log" >&2
	echo "engine: the library could not be fetched; set LIBCHDB_PATH if you have one" >&2
	exit 1
fi
touch node_modules/.fetched
echo "engine: libchdb $version is installed"
