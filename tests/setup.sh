#!/usr/bin/env bash
# Installs what heaptape needs to build, to record and to be tested, and nothing that is there already.
# Debian and Ubuntu: with apt (on Debian 12 libbpf and bpftool come from bookworm-backports, which is
# enabled here). Elsewhere: names the packages of the distribution at hand and stops.
#   tests/setup.sh build   what compiling needs
#   tests/setup.sh demo    build + redis and the four allocators
#   tests/setup.sh test    demo + what the tests run and record
#   tests/setup.sh languages  compilers of languages with a runtime of their own, for the case studies
#   tests/setup.sh bench   test + the tools that bench-capture compares with
#   tests/setup.sh kernels build + what boots other kernels
set -euo pipefail

word=${1:-demo}
say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

build=(cmake make gcc g++ clang-19 libbpf-dev bpftool libelf-dev libdw-dev libcapstone-dev libzstd-dev
       libxxhash-dev libcjson-dev zlib1g-dev pkg-config
       libiberty-dev libprotobuf-c-dev protobuf-c-compiler)
demo=(redis-server redis-tools libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4)
# libclang-rt-*-dev carries the sanitizers' and libFuzzer's run time; libcap2-bin and util-linux start programs with few rights.
tests=(python3 sqlite3 perl nodejs libclang-rt-19-dev libcap2-bin util-linux procps binutils git)
# For the tests of names: ways to pack debug information, another linker, and the client that --debuginfod loads.
tests+=(xz-utils dwz lld-19 libdebuginfod1)
# For runs made by a cluster: a controller and a node of the test's own.
tests+=(slurmctld slurmd slurm-client munge)
# The HTML report is bundled with npm (other packages of nodejs bring it along) and looked at in a browser.
tests+=(chromium fonts-dejavu-core)
command -v npm >/dev/null || tests+=(npm)
# Another libc, and programs with it inside.
tests+=(musl-tools)
# tcmalloc's other build.
tests+=(libgoogle-perftools4)
# Pools, for allocators that are described.
tests+=(libapr1-dev)
# Programs with a runtime of their own.
languages=(ghc golang-go golang-1.23-go)
tests+=("${languages[@]}")
bench=(heaptrack bpftrace memcached)
kernels=(qemu-system-x86 busybox-static binutils)

case $word in
build) want=("${build[@]}") ;;
demo) want=("${build[@]}" "${demo[@]}") ;;
test) want=("${build[@]}" "${demo[@]}" "${tests[@]}") ;;
bench) want=("${build[@]}" "${demo[@]}" "${tests[@]}" "${bench[@]}") ;;
languages) want=("${languages[@]}") ;;
kernels) want=("${build[@]}" "${kernels[@]}") ;;
*) die "unknown word '$word'; one of: build demo test bench languages kernels" ;;
esac

# On a distribution without apt the names are told, not guessed at by a package manager.
name_packages_elsewhere() {
	local id=$1
	case $id in
	*fedora* | *rhel* | *centos*)
		say "install: dnf install cmake make gcc gcc-c++ clang libbpf-devel bpftool elfutils-devel elfutils-libelf-devel capstone-devel" \
			"libzstd-devel xxhash-devel cjson-devel zlib-devel redis jemalloc mimalloc gperftools-libs" \
			"binutils-devel protobuf-c-devel protobuf-c-compiler" ;;
	*arch*)
		say "install: pacman -S cmake make gcc clang libbpf bpf elfutils capstone zstd xxhash cjson zlib redis" \
			"jemalloc mimalloc gperftools binutils protobuf-c" ;;
	*suse*)
		say "install: zypper install cmake make gcc gcc-c++ clang libbpf-devel bpftool libelf-devel libdw-devel" \
			"libcapstone-devel libzstd-devel xxhash-devel cJSON-devel zlib-devel redis libjemalloc2 libtcmalloc4" \
			"binutils-devel libprotobuf-c-devel" ;;
	*) say "install, under the names of your distribution: ${want[*]}" ;;
	esac
	say "then run this command again with HEAPTAPE_SETUP=skip"
}

[ "${HEAPTAPE_SETUP:-}" = skip ] && exit 0
. /etc/os-release 2>/dev/null || ID=unknown
if ! command -v apt-get >/dev/null; then
	name_packages_elsewhere "${ID:-} ${ID_LIKE:-}"
	exit 1
fi

missing() { # packages of "$@" that dpkg does not call installed
	local p
	for p in "$@"; do
		[ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null || true)" = installed ] || printf '%s\n' "$p"
	done
}
libbpf_is_old() { ! dpkg --compare-versions "$(dpkg-query -W -f='${Version}' libbpf-dev 2>/dev/null || echo 0)" ge 1:1.3; }

mapfile -t need < <(missing "${want[@]}")
libbpf_is_old && need+=(libbpf-dev libbpf1 bpftool)
[ ${#need[@]} -eq 0 ] && exit 0
[ "$(id -u)" = 0 ] || die "these packages are missing and installing them takes root: ${need[*]}"

say "installing: ${need[*]}"
suite=()
if [ "${VERSION_CODENAME:-}" = bookworm ]; then
	if ! grep -rqs bookworm-backports /etc/apt/sources.list /etc/apt/sources.list.d; then
		say "enabling bookworm-backports (libbpf >= 1.3 is there)"
		mirror=$(grep -rhsE '^(URIs:|deb )' /etc/apt/sources.list /etc/apt/sources.list.d |
			grep -oE 'https?://[^ ]*/debian/?( |$)' | head -n1 | tr -d ' ' || true)
		[ -n "$mirror" ] || die "found no Debian mirror in /etc/apt; add bookworm-backports by hand"
		printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
			"$mirror" >/etc/apt/sources.list.d/heaptape-backports.sources
	fi
	suite=(libbpf-dev/bookworm-backports libbpf1/bookworm-backports bpftool/bookworm-backports)
fi
export DEBIAN_FRONTEND=noninteractive
# A server package must not start its server here.
export RUNLEVEL=1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ apt-get -q update && apt-get -q -y --no-install-recommends install "${need[@]}" "${suite[@]}"; } >"$log" 2>&1 ||
	{ tail -n 20 "$log" >&2; die "apt-get failed; the lines above say why"; }
mapfile -t still < <(missing "${want[@]}")
[ ${#still[@]} -eq 0 ] || die "still missing after apt-get: ${still[*]}"
libbpf_is_old && die "libbpf-dev is older than 1.3 and no newer one is offered by this system's sources"
exit 0
