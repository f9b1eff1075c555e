#!/bin/sh
# Runs the pipeline now, then at every full EVERY_MINUTES (30): :00 and :30. Arguments go to it.
# A run that fails is tried again by the next one; what happened is on stdout and in meta_job_runs.
stop() {
  trap '' TERM INT
  # $! is set before the shell looks at signals again, a variable of our own would be set after it.
  child=$!
  if [ -n "$child" ]; then
    # A signal is lost if it reaches the child after the fork, and before the child has become the
    # program: so it is repeated. A run ends within a second after the first one that it gets.
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
