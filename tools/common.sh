# Sourced by the scripts beside it: where the server is, who runs it, and a
# private cluster that touches neither /usr nor any cluster of the machine.
#
# The extension is installed under a folder of the run ($dest) and the private
# server is told to look there.  Root cannot run a server, and the server's user
# may not be able to read the clone: so the sources are copied into the run's
# folder ($work), which belongs to the user that runs the server ($run_user),
# and everything happens in there.

set -eu
umask 022
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
for v in $(env | sed -n 's/^\(PG[A-Z]*\)=.*/\1/p'); do
	[ "$v" = PG_CONFIG ] || unset "$v"
done
unset v
export LANG=C.UTF-8 LC_ALL=C.UTF-8

repo=$(cd "$(dirname "$0")/.." && pwd)
if [ "$(id -u)" -eq 0 ]; then run_user=postgres; else run_user=$(id -un); fi

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# as COMMAND...: run it as the server's user, from a folder that user can read
as() {
	(cd "$work" && run_as "$@")
}

run_as() {
	if [ "$(id -u)" -eq 0 ]; then
		exec ${limit_by:-} runuser -u "$run_user" -- env HOME="$work" USER="$run_user" "$@"
	else
		exec ${limit_by:-} env HOME="$work" "$@"
	fi
}

# The newest server of at least 15 that has its development files, 15 first.
find_server() {
	if [ -n "${PG_CONFIG:-}" ]; then
		pg_config=$PG_CONFIG
	else
		pg_config=
		for v in 15 18 17 16; do
			if [ -x /usr/lib/postgresql/$v/bin/pg_config ] && [ -x /usr/lib/postgresql/$v/bin/postgres ]; then
				pg_config=/usr/lib/postgresql/$v/bin/pg_config
				break
			fi
		done
		[ -n "$pg_config" ] || pg_config=$(command -v pg_config) || die "found no PostgreSQL server"
	fi
	bindir=$("$pg_config" --bindir)
	sharedir=$("$pg_config" --sharedir)
	pkglibdir=$("$pg_config" --pkglibdir)
	testdir=$(dirname "$("$pg_config" --pgxs)")/../test
	[ -x "$bindir/initdb" ] || die "no initdb beside $pg_config"
}

# Copies the sources, not what was built from them, into $work/src.
copy_sources() {
	mkdir -p "$work/src"
	(cd "$repo" && tar -cf - --exclude=./.git --exclude=./log --exclude=./results --exclude=./output_iso \
		--exclude=./tmp_check --exclude='./regression.*' --exclude='./kpi_cascade--*.sql' \
		--exclude='*.o' --exclude='*.bc' --exclude='*.so' .) | tar -xf - -C "$work/src"
	[ "$(id -u)" -ne 0 ] || chown -R "$run_user" "$work"
}

build() {
	for goal in all install; do
		as make -s -C "$work/src" -j2 PG_CONFIG="$pg_config" with_llvm=no DESTDIR="$work/dest" $goal >"$work/build.log" 2>&1 ||
			{ cat "$work/build.log" >&2; return 1; }
		cat "$work/build.log"
	done
}

# The settings with which a server finds what was installed under $work/dest.
# Debian's servers have extension_destdir; 18 has a path for control files.
extension_settings() {
	known=$(as "$bindir/postgres" --describe-config)
	if [[ $known == *extension_destdir* ]]; then
		echo "extension_destdir = '$work/dest'"
		echo "dynamic_library_path = '$work/dest$pkglibdir:$pkglibdir'"
	else
		echo "extension_control_path = '$work/dest$sharedir:\$system'"
		echo "dynamic_library_path = '$work/dest$pkglibdir:\$libdir'"
	fi
}

# cluster_start FOLDER: a fresh cluster in FOLDER, reached through a socket there
cluster_start() {
	as mkdir -p -m 700 "$1"
	as "$bindir/initdb" -D "$1/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$work/initdb.log" 2>&1 ||
		{ cat "$work/initdb.log" >&2; return 1; }
	{
		echo "listen_addresses = ''"
		echo "unix_socket_directories = '$1'"
		echo "unix_socket_permissions = 0700"
		echo "port = 5432"
		echo "fsync = off"
		echo "full_page_writes = off"
		echo "max_prepared_transactions = 10"
		echo "log_line_prefix = '%m [%p] %q%u@%d '"
		extension_settings
	} | as tee -a "$1/data/postgresql.conf" >/dev/null
	as "$bindir/pg_ctl" -D "$1/data" -l "$1/log" -w -t 60 start >"$work/start.log" 2>&1 ||
		{ cat "$work/start.log" "$1/log" >&2; return 1; }
}

cluster_stop() {
	[ ! -f "$1/data/postmaster.pid" ] || as "$bindir/pg_ctl" -D "$1/data" -m fast -w stop >/dev/null 2>&1 ||
		as "$bindir/pg_ctl" -D "$1/data" -m immediate stop >/dev/null 2>&1 || true
}
