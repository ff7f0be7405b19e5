#!/usr/bin/env bash
# make_repo.sh DIR SOURCE - a repository of small_alloc.c with a history of 60 commits: 56 on the line and two merged branches of two.
# v13 worsens metadata, v27 worsens holes; v20 and v21 do not build; v29 to v31 crash.
# Tags v1 to v56 name the commits of the line.
set -eu
dir=$1 source=$2
git init -q -b trunk "$dir"
cd "$dir"
git config user.name Somebody
git config user.email somebody@example.org
git config commit.gpgsign false
git config gc.auto 0
export GIT_AUTHOR_DATE="2024-01-01T00:00:00Z" GIT_COMMITTER_DATE="2024-01-01T00:00:00Z"

pad=0 meta=64 crash=0
knobs() { printf '#define KNOB_PAD %d\n#define KNOB_META %d\n#define KNOB_CRASH %d\n%s\n' $pad $meta $crash "${1:-}" >knobs.h; }
commit() { # TITLE
	git add -A
	git commit -q -m "$1" -m "The body of $1."
}

mkdir doc
cp "$source" alloc.c
for i in $(seq 56); do
	case $i in
	13) meta=20000 ;;
	27) pad=48 ;;
	esac
	crash=0
	[ "$i" = 29 ] || [ "$i" = 30 ] || [ "$i" = 31 ] && crash=1
	case $i in
	20 | 21) knobs '#error unfinished' ;;
	*) knobs ;;
	esac
	case $i in
	16 | 34) # what a branch brought, which had left the line a while ago
		git checkout -q -b "side$i" "v$((i - 4))"
		echo "side $i" >"doc/side$i"
		commit "side of v$i, one"
		echo more >>"doc/side$i"
		commit "side of v$i, two"
		git checkout -q trunk
		git stash -q 2>/dev/null || true
		git merge -q --no-ff -m "v$i" "side$i" ;;
	*)
		echo "version $i" >doc/version
		commit "v$i" ;;
	esac
	git tag "v$i"
done
