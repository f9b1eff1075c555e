#!/bin/sh
# control.sh kill N | start N: kill replica N of the test cluster, or start it and wait until it answers.
set -eu
compose="docker compose --file $(dirname "$0")/docker-compose.yml"
case "$1" in
  kill) $compose kill "replica-$2" ;;
  start) $compose up --detach --wait "replica-$2" ;;
  *) echo "usage: $0 kill|start N" >&2; exit 2 ;;
esac
