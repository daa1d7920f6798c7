#!/usr/bin/env bash
# Prints where PostgreSQL's server binaries are. Installs them on Debian as root or in CI; elsewhere it fails and says so.
set -euo pipefail
shopt -s nullglob

find_bindir() {
  local candidate on_path
  on_path="$(command -v initdb || true)"
  for candidate in ${on_path:+"$(dirname "$(readlink -f "$on_path")")"} \
    /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    if [[ -x "$candidate/initdb" && -x "$candidate/postgres" ]]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

may_install() {
  command -v apt-get >/dev/null && [[ "$(id -u)" == 0 || "${CI:-}" == true ]]
}

as_root() {
  if [[ "$(id -u)" == 0 ]]; then "$@"; else sudo --non-interactive "$@"; fi
}

apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$@"
}

install() {
  local settings=/etc/postgresql-common/createcluster.conf
  as_root apt-get update -qq
  if [[ ! -e "$settings" ]]; then
    # The test starts a server of its own: a fresh installation need not start another. Existing settings are left alone.
    apt_install postgresql-common
    as_root sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' "$settings"
  fi
  apt_install postgresql
}

if find_bindir; then exit; fi
if may_install; then install >&2; fi
if find_bindir; then exit; fi
echo "PostgreSQL's server binaries (initdb, postgres) are missing and the loader's test needs them: install your system's PostgreSQL server package" >&2
exit 1
