#!/bin/sh
# build.sh FOLDER NPM NODE - bundles the page into FOLDER/page.html; npm's packages go to FOLDER too, and stay there.
# Ends with 0 in any case: without the packages heaptape builds without its HTML report, and says so.
folder=$1 npm=$2 node=$3
web=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder" || exit 1
rm -f "$folder/page.html"

without() {
	echo "heaptape builds without the HTML report: $1; what npm said is in $folder/npm.log" >&2
	: >"$folder/page.html"
	touch -d @1 "$folder/page.html"
	exit 0
}

# The packages, unless those that the lock file asks for are there already.
if ! cmp -s "$web/package-lock.json" "$folder/installed-lock.json"; then
	cp "$web/package.json" "$web/package-lock.json" "$folder"
	(cd "$folder" && "$npm" ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries 1 >npm.log 2>&1) ||
		without "npm ci failed (is the registry in reach?)"
	cp "$web/package-lock.json" "$folder/installed-lock.json"
fi
"$node" "$web/bundle.mjs" "$web" "$folder" >"$folder/npm.log" 2>&1 || { cat "$folder/npm.log" >&2; exit 1; }
