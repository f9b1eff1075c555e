#!/usr/bin/env bash
# Checks the files of this folder with linters and validators; Docker and Kubernetes are not needed.
# `make check-deploy` installs the tools that are Python packages, and runs this.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${1:?pass the folder of the tools}

checked=0
check() {
  echo "+ $*"
  "$@"
  checked=$((checked + 1))
}

check "$bin/shellcheck" deploy/*.sh deploy/cluster/*.sh .ci/run
check "$bin/hadolint" deploy/Dockerfile
# The files of the secrets need not exist for this check.
check "$bin/docker-compose" --file deploy/docker-compose.yml config --quiet
check "$bin/docker-compose" --file deploy/cluster/docker-compose.yml config --quiet
check "$bin/kubernetes-validate" --strict --quiet deploy/kubernetes/*.yaml
if command -v systemd-analyze > /dev/null; then
  # Install the units into a temporary folder. Their program is not installed: replace it by one
  # that exists.
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
  echo "systemd-analyze is not installed: the systemd units were not checked"
fi
echo "$checked checks passed."
