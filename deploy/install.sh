#!/usr/bin/env bash
# Installs or upgrades the pipeline on a machine with systemd. It can be run again at any time: it
# changes only what is missing or outdated, and never configuration or secrets.
set -euo pipefail
# Whatever the caller's umask is, the service's user must be able to read the installed files.
umask 022

usage() {
  cat <<'USAGE'
Usage: sudo deploy/install.sh [OPTIONS]

Copies this checkout with the packages that it needs to /opt/qtickets/releases/<hash of its content>,
and points /opt/qtickets/current to it. Creates the user qtickets, configuration and secrets in
/etc/qtickets, the service that makes a run every 30 minutes and receives webhooks, and systemd timers:
a check every 15 minutes, a backup every night, and compaction every week. Keeps the previous release
for --rollback.

  --full           install the embedded ClickHouse and the demo too
  --python PATH    the Python that creates the environment (default: python3)
  --dry-run        print the steps, and do nothing
  --root DIR       install below DIR: no user, no systemd, nothing outside (packaging, tests)
  --no-packages    create no Python environment (with --root)
  --no-start       start neither the service nor the timers
  --rollback       point `current` to the previous release, and do nothing else
  --help           print this text

Then write the token to /etc/qtickets/secrets/qtickets_token and the ClickHouse host to
/etc/qtickets/qtickets.env, and run this again: it starts the service once there is a token.
USAGE
}

full=no python=python3 dry_run=no root='' packages=yes start=yes rollback=no
while [ $# -gt 0 ]; do
  case $1 in
    --full) full=yes ;;
    --python) python=${2:?--python needs a path}; shift ;;
    --dry-run) dry_run=yes ;;
    --root) root=${2:?--root needs a folder}; shift ;;
    --no-packages) packages=no ;;
    --no-start) start=no ;;
    --rollback) rollback=yes ;;
    --help | -h) usage; exit 0 ;;
    *) echo "error: unknown option $1; see --help" >&2; exit 2 ;;
  esac
  shift
done

source=$(cd "$(dirname "$0")/.." && pwd)
prefix=$root/opt/qtickets
config=$root/etc/qtickets
state=$root/var/lib/qtickets
units=$root/etc/systemd/system

fail() {
  echo "error: $*" >&2
  exit 1
}

# Prints a command and runs it; with --dry-run only prints it.
run() {
  echo "+ $*"
  [ "$dry_run" = yes ] || "$@"
}

# Runs a command that concerns the machine itself, unless --root is set.
run_here() {
  [ -n "$root" ] || run "$@"
}

# Lists the files of a release, sorted and separated by NUL.
contents() {
  (cd "$source" && find LICENSE README.md CHANGELOG.md pyproject.toml requirements.txt bi cassettes \
    dashboard dbt_project deploy docs local_clickhouse pipelines qtickets_source sandbox -type f \
    ! -path '*/__pycache__/*' ! -path 'dbt_project/target/*' ! -path 'dbt_project/logs/*' \
    ! -path 'deploy/secrets/*' -print0 | LC_ALL=C sort -z)
}

# Points `current` to a release in one atomic step.
switch_to() {
  run ln -sfn "releases/$1" "$prefix/current.new"
  run mv -T "$prefix/current.new" "$prefix/current"
}

# Creates a file from stdin; keeps an existing one, which the operator may have changed.
make_once() {
  local path=$1 mode=$2
  if [ -e "$path" ]; then
    echo "= $path is kept"
    cat > /dev/null
  else
    echo "+ write $path (mode $mode)"
    if [ "$dry_run" = yes ]; then
      cat > /dev/null
    else
      (umask 077 && cat > "$path")
      chmod "$mode" "$path"
    fi
  fi
}

install_unit() {
  local from=$source/deploy/systemd/$1 to=$units/${2:-$1}
  if cmp -s "$from" "$to"; then
    echo "= $to is up to date"
  else
    run install -D -m 644 "$from" "$to"
    reload=yes
  fi
}

if [ "$rollback" = yes ]; then
  [ -L "$prefix/previous" ] || fail "$prefix has no previous release"
  target=$(basename "$(readlink "$prefix/previous")")
  run ln -sfn "$(readlink "$prefix/current")" "$prefix/previous"
  switch_to "$target"
  run_here systemctl try-restart qtickets.service
  echo "Release $target is in use."
  exit 0
fi

if [ -z "$root" ] && [ "$dry_run" = no ]; then
  [ "$(id -u)" = 0 ] || fail "root is required: sudo $0"
  command -v systemctl > /dev/null ||
    fail "this machine has no systemd; see deploy/README.md for Docker and Kubernetes"
fi
if [ "$packages" = yes ]; then
  command -v "$python" > /dev/null ||
    fail "$python was not found; set the path of a Python with --python PATH"
  "$python" "$source/deploy/check_python.py" "sudo $0 --python /usr/bin/" || exit 1
fi

if [ -z "$root" ] && ! id qtickets > /dev/null 2>&1; then
  run useradd --system --home-dir /var/lib/qtickets --no-create-home --shell /usr/sbin/nologin qtickets
fi

requirements=deploy/requirements.txt
[ "$full" = no ] || requirements=requirements.txt
release=$( (contents | (cd "$source" && xargs -0 sha256sum); echo "$requirements") |
  sha256sum | cut -c1-12)
folder=$prefix/releases/$release
if [ -e "$folder/.complete" ]; then
  echo "= release $release is installed"
else
  # An interrupted installation may have left an incomplete one.
  run rm -rf "$folder"
  run install -d -m 755 "$folder"
  echo "+ copy the project to $folder"
  if [ "$dry_run" = no ]; then
    contents | tar --create --directory="$source" --no-recursion --null --files-from=- |
      tar --extract --directory="$folder" --no-same-owner --mode='u=rwX,go=rX'
  fi
  if [ "$packages" = yes ]; then
    run "$python" -m venv "$folder/.venv"
    run "$folder/.venv/bin/pip" install --quiet --disable-pip-version-check \
      --require-hashes --only-binary :all: --requirement "$folder/$requirements"
    run "$folder/.venv/bin/python" -m compileall -q "$folder" -x '/[.]venv/'
  fi
  run touch "$folder/.complete"
fi

restart=no
current=$(readlink "$prefix/current" 2> /dev/null || true)
if [ "$current" = "releases/$release" ]; then
  echo "= $prefix/current is release $release"
else
  [ -z "$current" ] || run ln -sfn "$current" "$prefix/previous"
  switch_to "$release"
  restart=yes
fi
# Keep the current and the previous release, and remove older ones.
previous=$(basename "$(readlink "$prefix/previous" 2> /dev/null || echo none)")
for old in "$prefix"/releases/*; do
  name=$(basename "$old")
  if [ -d "$old" ] && [ "$name" != "$release" ] && [ "$name" != "$previous" ]; then
    run rm -rf "$old"
  fi
done

[ -d "$config/secrets" ] || run install -d -m 700 "$config/secrets"
[ -d "$state" ] || run install -d -m 700 "$state"
run_here chown qtickets:qtickets "$state"
make_once "$config/qtickets.env" 644 <<'ENV'
# Settings that are not secret. Secrets are files in /etc/qtickets/secrets.
# All variables: docs/configuration.md.
ORG_NAME=
REPORT_TZ=Europe/Moscow

# The ClickHouse server. Without a host the embedded one is used, which --full installs.
CLICKHOUSE_HOST=
#CLICKHOUSE_SECURE=true
#CLICKHOUSE_CA_CERT=/etc/qtickets/ca.pem
#CLICKHOUSE_USER=qtickets_loader
#CLICKHOUSE_TRANSFORM_USER=qtickets_transformer
#CLICKHOUSE_BACKUP_USER=qtickets_backup
#QTICKETS_BACKUP_TARGET=Disk('backups', '{name}')
#QTICKETS_ALERT_TELEGRAM_CHAT=
#QTICKETS_LISTEN=127.0.0.1:8090
ENV
printf '' | make_once "$config/secrets/qtickets_token" 600
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' | make_once "$config/secrets/qtickets_pii_salt" 600
for secret in clickhouse_password clickhouse_transform_password clickhouse_backup_password \
  qtickets_webhook_secret qtickets_page_token qtickets_alert_webhook qtickets_alert_telegram_token; do
  printf '' | make_once "$config/secrets/$secret" 600
done

reload=no
install_unit qtickets.service
for unit in qtickets-check qtickets-backup qtickets-compact; do
  install_unit "$unit.service"
  install_unit "$unit.timer"
done
if [ -e "$units/qtickets.timer" ]; then
  # Earlier releases were started by it every 30 minutes.
  run_here systemctl disable --now qtickets.timer
  run rm "$units/qtickets.timer"
  reload=yes
fi
install_unit common.conf qtickets.service.d/common.conf
install_unit common.conf qtickets-.service.d/common.conf
if [ "$reload" = yes ]; then
  run_here systemctl daemon-reload
  restart=yes
fi
echo "Done: release $release."
if [ ! -s "$config/secrets/qtickets_token" ]; then
  # Without a token a run would load the sales of the demo.
  echo "Next: write the QTickets token to $config/secrets/qtickets_token and the ClickHouse host to"
  echo "$config/qtickets.env, then run this again to start the service."
elif [ "$start" = yes ]; then
  run_here systemctl enable --now qtickets.service qtickets-check.timer qtickets-backup.timer \
    qtickets-compact.timer
  [ "$restart" = no ] || run_here systemctl restart qtickets.service
fi
