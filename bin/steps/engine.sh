# shellcheck shell=bash
# Starts a Docker engine, and lets the developer use it from this shell. Changes nothing if an engine answers already,
# also one of DOCKER_HOST, of a context, or a rootless one.

readonly SOCKET=/var/run/docker.sock
readonly DOCKERD_LOG=/var/log/dockerd.log
readonly ENGINE_START_SECONDS=60
readonly ENGINE_ANSWER_SECONDS=20

# Whether the developer can use an engine.
engine_answers() { as_developer timeout "$ENGINE_ANSWER_SECONDS" docker version >/dev/null 2>&1; }
# Whether root can use the engine of this machine.
engine_answers_root() {
  as_root timeout "$ENGINE_ANSWER_SECONDS" docker --host "unix://$SOCKET" version >/dev/null 2>&1
}
# Prints the path of dockerd.
dockerd_path() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v dockerd; }

# Whether the pid in a file is that of a live process with this name. After a crash or a reboot another process may have
# the number. Then dockerd refuses to start, or waits for a containerd that does not run.
pid_file_is_valid() { # pid_file_is_valid FILE NAME
  local pid
  pid=$(as_root cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

# Deletes pid files and sockets of engines that no longer run.
remove_stale_files() {
  local own=/var/run/docker/containerd system=/run/containerd/containerd.sock
  pid_file_is_valid /var/run/docker.pid dockerd || as_root rm -f /var/run/docker.pid
  pid_file_is_valid "$own/containerd.pid" containerd || as_root rm -f "$own/containerd.pid" "$own/containerd.sock"
  # If this socket exists, dockerd assumes that a containerd runs.
  if [ -S "$system" ] && ! grep -q " $system\$" /proc/net/unix; then as_root rm -f "$system"; fi
}

# Waits until the engine answers. Returns 1 if dockerd ends or ENGINE_START_SECONDS pass.
wait_for_engine() {
  local deadline=$((SECONDS + ENGINE_START_SECONDS))
  until engine_answers_root; do
    sleep 0.5
    [ "$SECONDS" -lt "$deadline" ] && grep -qsx dockerd /proc/[0-9]*/comm || return 1
  done
}

# Starts the engine with systemd, or in the background if there is no systemd.
start_engine() {
  local dockerd
  if [ -d /run/systemd/system ]; then
    say 'engine: starting Docker (systemctl enable --now docker)'
    { as_root systemctl enable --now --quiet docker && wait_for_engine; } ||
      fail 'the Docker engine did not start' 'run systemctl status docker; journalctl -u docker'
    return
  fi
  if pid_file_is_valid /var/run/docker.pid dockerd; then
    wait_for_engine ||
      fail "dockerd runs but does not answer on $SOCKET" "read $DOCKERD_LOG, or stop dockerd and run bin/setup again"
    return
  fi
  dockerd=$(dockerd_path) || fail 'there is no dockerd on this machine' 'sudo apt-get install docker.io'
  say "engine: starting $dockerd in the background (there is no systemd), log in $DOCKERD_LOG"
  remove_stale_files
  # dockerd must go on after this shell and sudo's terminal end.
  # shellcheck disable=SC2016 # the inner shell expands its own arguments
  as_root env "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin" \
    sh -c 'trap "" HUP; setsid "$0" >>"$1" 2>&1 </dev/null &' "$dockerd" "$DOCKERD_LOG"
  if ! wait_for_engine; then
    as_root tail -15 "$DOCKERD_LOG" >&2 || true
    fail "dockerd ended, or did not answer within $ENGINE_START_SECONDS s (above: the end of $DOCKERD_LOG)" \
      'fix what the log names, then run bin/setup again'
  fi
}

# Lets the developer use the engine. Membership in the group docker counts from the next login on. The access list on
# the socket counts at once, until the engine restarts.
grant_access() {
  local name
  name=$(developer)
  say "engine: letting $name use it (group docker; until the engine restarts, an access list on $SOCKET)."
  say "engine: note that a user of the Docker engine can become root on this machine."
  as_root usermod -aG docker "$name" || fail "could not add $name to the group docker" 'read the message above'
  command -v setfacl >/dev/null || install_packages acl
  as_root setfacl -m "u:$name:rw" "$SOCKET" || true
  engine_answers || fail "$name may not use $SOCKET in this session" 'log in again, then run bin/setup again'
}

# Fails if DOCKER_HOST names an engine that does not answer.
check_named_engine() {
  [ -z "${DOCKER_HOST:-}" ] || engine_answers ||
    fail "no engine answers at DOCKER_HOST=$DOCKER_HOST" 'start it, or unset DOCKER_HOST to use one on this machine'
}

# Makes sure that the developer can use an engine.
setup_engine() {
  if engine_answers; then
    say 'engine: Docker answers'
    return
  fi
  engine_answers_root || start_engine
  if ! engine_answers; then grant_access; fi
  say 'engine: Docker answers'
}
