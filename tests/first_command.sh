#!/usr/bin/env bash
# The README's first command in its own words, but with a debug build: it ends in a finished pipeline, and the curl line that it
# prints returns the pipeline's jobs.
set -euo pipefail
cd "$(dirname "$0")/.."
read -r -a command <<<"$(sed -n 's/^    \(cargo run .*\)$/\1/p' README.md | head -n 1)"
[ "${#command[@]}" -gt 0 ] || { echo "README.md has no line with cargo run" >&2; exit 1; }
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
mapfile -t command < <(printf '%s\n' "${command[@]}" | grep -v -x -e --release)
# Cargo becomes the server, so that ending it ends the server.
"${command[@]}" --listen 127.0.0.1:0 --data "$folder/data" >"$folder/out" 2>"$folder/err" &
server=$!
# As long as a build may take; a server that hangs is found out.
end=$((SECONDS + 900))
until grep -q '^curl ' "$folder/out"; do
  { kill -0 "$server" 2>/dev/null && [ "$SECONDS" -lt "$end" ]; } || { cat "$folder/out" "$folder/err" >&2; echo "the first command ended or hung" >&2; exit 1; }
  sleep 0.2
done
grep -q '^pipeline #1 success: ' "$folder/out" || { cat "$folder/out" >&2; exit 1; }
line=$(grep '^curl ' "$folder/out")
jobs=$(eval "${line/curl /curl --silent --fail }")
printf '%s' "$jobs" | python3 -c 'import json, sys; jobs = json.load(sys.stdin); assert len(jobs) == 5 and all(job["status"] == "success" for job in jobs), jobs'
echo "${command[*]}: a finished pipeline, and its jobs by curl"
