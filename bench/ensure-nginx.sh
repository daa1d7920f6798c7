#!/usr/bin/env bash
# Installs nginx on Debian as root or in CI, without starting it as a service; elsewhere it fails and says so.
set -euo pipefail

as_root() {
  if [[ "$(id -u)" == 0 ]]; then "$@"; else sudo --non-interactive "$@"; fi
}

if command -v apt-get >/dev/null && [[ "$(id -u)" == 0 || "${CI:-}" == true ]]; then
  as_root apt-get update -qq
  # Debian asks this script whether a service may start; 101 says no. An existing one is left alone.
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e "$policy" ]]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod +x "$policy"
    trap 'as_root rm -f "$policy"' EXIT
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends nginx-light >&2
  exit
fi
echo "nginx is missing and \`make bench\` serves its files by it: install your system's nginx package" >&2
exit 1
