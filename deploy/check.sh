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
  # With a program that is there, and only it, in the place of the installed one.
  units=$(mktemp -d)
  trap 'rm -rf "$units"' EXIT
  cp deploy/systemd/qtickets.timer "$units"
  sed 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' deploy/systemd/qtickets.service > "$units/qtickets.service"
  check systemd-analyze verify "$units/qtickets.service" "$units/qtickets.timer"
  check systemd-analyze security --offline=true --threshold=20 --no-pager "$units/qtickets.service" \
    > "$units/security"
  tail -1 "$units/security"
else
  echo "no systemd-analyze here: the units were not checked"
fi
echo "$checked checks passed."
