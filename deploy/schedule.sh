#!/bin/sh
# Runs the pipeline now, then at every full EVERY_MINUTES (30): :00 and :30. Arguments go to it.
# A run that fails is tried again by the next one; what happened is on stdout and in meta_job_runs.
stop() {
  trap '' TERM INT
  # Not a variable that is assigned after the start: this trap may run before the assignment.
  child=$!
  if [ -n "$child" ]; then
    # A signal that reaches the child between fork and exec is lost, so TERM is repeated. A run ends
    # within a second of the first one that it gets, so it never gets a second one.
    while kill -TERM "$child"; do sleep 2; done >/dev/null 2>&1 &
    wait "$child" 2>/dev/null
    kill -KILL "$!" 2>/dev/null
  fi
  exit 0
}
trap stop TERM INT
every=$((${EVERY_MINUTES:-30} * 60))
here=$(dirname "$0")
while :; do
  "${PYTHON:-python}" "$here/../pipelines/qtickets.py" "$@" &
  wait "$!" || echo "The run ended with exit code $?; the next one follows."
  pause=$((every - $(date +%s) % every))
  # In the background too: a trap waits for what runs in the foreground.
  sleep "$pause" &
  wait "$!"
done
