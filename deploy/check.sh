#!/usr/bin/env bash
# Checks the files of this folder with the tools that read them elsewhere; no engine is needed.
# `make check-deploy` installs those that come as Python packages.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:?the folder of the tools}

checked=0
check() {
  echo "+ $*"
  "$@"
  checked=$((checked + 1))
}

check "$bin/shellcheck" deploy/*.sh .ci/run
check "$bin/hadolint" deploy/Dockerfile
# The secrets' files need not be there to read the file that names them.
check "$bin/docker-compose" --file deploy/docker-compose.yml config --quiet
check "$bin/kubernetes-validate" --strict --quiet deploy/kubernetes/qtickets.yaml
if command -v systemd-analyze > /dev/null; then
  # As the installation lays them, with a program that is there in the place of the installed one.
  root=$(mktemp -d)
  trap 'rm -rf "$root"' EXIT
  deploy/install.sh --root "$root" --no-packages --no-start > /dev/null
  units=$root/etc/systemd/system
  sed -i 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' "$units"/*.service
  export SYSTEMD_UNIT_PATH=$units:
  check systemd-analyze verify "$units"/*.service "$units"/*.timer
  for unit in "$units"/*.service; do
    check systemd-analyze security --offline=true --threshold=20 --no-pager "$unit" > "$root/security"
    tail -1 "$root/security"
  done
else
  echo "no systemd-analyze here: the units were not checked"
fi
echo "$checked checks passed."
