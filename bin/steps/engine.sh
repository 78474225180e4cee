# shellcheck shell=bash
# A running Docker engine that the developer may use from this same shell. One that answers already is left alone,
# wherever it is (DOCKER_HOST, a context, rootless).

readonly SOCKET=/var/run/docker.sock
readonly DOCKERD_LOG=/var/log/dockerd.log
readonly ENGINE_START_SECONDS=60
readonly ENGINE_ANSWER_SECONDS=20

engine_answers() { as_developer timeout "$ENGINE_ANSWER_SECONDS" docker version >/dev/null 2>&1; }
engine_answers_root() {
  as_root timeout "$ENGINE_ANSWER_SECONDS" docker --host "unix://$SOCKET" version >/dev/null 2>&1
}
dockerd_path() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin command -v dockerd; }

# True when the pid in this file belongs to a live process of this name. After a crash or a reboot another process may have
# the number. Then dockerd would refuse to start, or wait for a containerd that is none.
pid_file_is_true() { # pid_file_is_true FILE NAME
  local pid
  pid=$(as_root cat "$1" 2>/dev/null) && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

remove_stale_traces() {
  local own=/var/run/docker/containerd system=/run/containerd/containerd.sock
  pid_file_is_true /var/run/docker.pid dockerd || as_root rm -f /var/run/docker.pid
  pid_file_is_true "$own/containerd.pid" containerd || as_root rm -f "$own/containerd.pid" "$own/containerd.sock"
  # dockerd takes a system containerd's socket for a running containerd.
  if [ -S "$system" ] && ! grep -q " $system\$" /proc/net/unix; then as_root rm -f "$system"; fi
}

wait_for_engine() {
  local deadline=$((SECONDS + ENGINE_START_SECONDS))
  until engine_answers_root; do
    sleep 0.5
    [ "$SECONDS" -lt "$deadline" ] && grep -qsx dockerd /proc/[0-9]*/comm || return 1
  done
}

start_engine() {
  local dockerd
  if [ -d /run/systemd/system ]; then
    say 'engine: starting Docker (systemctl enable --now docker)'
    { as_root systemctl enable --now --quiet docker && wait_for_engine; } ||
      fail 'the Docker engine did not start' 'see: systemctl status docker; journalctl -u docker'
    return
  fi
  if pid_file_is_true /var/run/docker.pid dockerd; then
    wait_for_engine || fail "dockerd runs but does not answer on $SOCKET" "see $DOCKERD_LOG, or end it and run bin/setup again"
    return
  fi
  dockerd=$(dockerd_path) || fail 'there is no dockerd on this machine' 'sudo apt-get install docker.io'
  say "engine: starting $dockerd in the background (no systemd here), log in $DOCKERD_LOG"
  remove_stale_traces
  # It must outlive this shell and, under sudo, sudo's terminal.
  # shellcheck disable=SC2016 # the inner shell expands its own arguments
  as_root env "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin" \
    sh -c 'trap "" HUP; setsid "$0" >>"$1" 2>&1 </dev/null &' "$dockerd" "$DOCKERD_LOG"
  if ! wait_for_engine; then
    as_root tail -15 "$DOCKERD_LOG" >&2 || true
    fail "dockerd ended, or did not answer within $ENGINE_START_SECONDS s (above: the end of $DOCKERD_LOG)" \
      'mend what it says and run bin/setup again'
  fi
}

# Group membership counts from the next login on; the access list on the socket counts now, until the engine restarts.
grant_access() {
  local name
  name=$(developer)
  say "engine: letting $name use it (group docker; and for this session, an access list on $SOCKET)."
  say "engine: note that every user of the Docker engine can become root on this machine."
  as_root usermod -aG docker "$name" || fail "could not add $name to the group docker" 'see the message above'
  command -v setfacl >/dev/null || install_packages acl
  as_root setfacl -m "u:$name:rw" "$SOCKET" || true
  engine_answers || fail "$name may not use $SOCKET in this session" 'log in anew and run bin/setup again'
}

check_named_engine() {
  [ -z "${DOCKER_HOST:-}" ] || engine_answers ||
    fail "no engine answers at DOCKER_HOST=$DOCKER_HOST" 'start it, or unset DOCKER_HOST to use one on this machine'
}

setup_engine() {
  if engine_answers; then
    say 'engine: Docker answers'
    return
  fi
  engine_answers_root || start_engine
  if ! engine_answers; then grant_access; fi
  say 'engine: Docker answers'
}
