#!/bin/sh
# Runs the pipeline now, then every EVERY_MINUTES (default 30), at :00 and :30. Arguments are passed on.
# A failed run is not retried: the next one loads what it missed. Its error is in the output and in
# meta_job_runs.
stop() {
  trap '' TERM INT
  # Not a variable that is assigned after the start: the trap may run before the assignment.
  child=$!
  if [ -n "$child" ]; then
    # A signal that reaches the child between fork and exec is lost, so TERM is repeated. A run ends
    # within a second of the first TERM that it receives, so it never receives a second one.
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
  wait "$!" || echo "The run ended with exit code $?; the next one starts on schedule."
  pause=$((every - $(date +%s) % every))
  # In the background too, because a trap waits until the foreground command ends.
  sleep "$pause" &
  wait "$!"
done
