#!/bin/sh
# Runs the pipeline now, then at every full EVERY_MINUTES (30): :00 and :30. Arguments go to it.
# A run that fails is tried again by the next one; what happened is on stdout and in meta_job_runs.
set -u
every=$((${EVERY_MINUTES:-30} * 60))
child=
stop() {
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null
    wait "$child"
  fi
  exit 0
}
trap stop TERM INT
here=$(dirname "$0")
while :; do
  "${PYTHON:-python}" "$here/../pipelines/qtickets.py" "$@" &
  child=$!
  wait "$child" || echo "The run ended with exit code $?; the next one follows."
  # In the background too: a trap waits for what runs in the foreground.
  sleep $((every - $(date +%s) % every)) &
  child=$!
  wait "$child"
done
