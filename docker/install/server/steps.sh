# The side of the install scripts that runs on the server: one step for each connection, its answers as marked lines, so
# that what a login profile prints is told apart. Whatever is not marked is output of a program.

INSTALL_LOG=/var/log/compute-horde-install.log

answer() { printf '@compute-horde@ %s %s\n' "$1" "$2" || true; } # answer KIND TEXT
say() { answer say "$*"; }
plan() { answer plan "$1"; }
warn() { answer warn "$1"; }
fact() { answer "fact-$1" "$2"; }
problem() { # problem WHAT WHAT-TO-DO
  answer problem "$1"
  answer todo "$2"
}
fail() { # fail WHAT WHAT-TO-DO
  answer failed "$1"
  answer todo "${2:-see the lines above}"
  exit 1
}

run_step() { # run_step ROLE STEP
  local status=0
  # A step that has begun is finished, though the connection is lost: dpkg must not be stopped half way.
  trap '' HUP PIPE
  set_role "$1"
  assume_yes=yes
  case $2 in
    checks) ;;
    *)
      (umask 077 && : >>"$INSTALL_LOG")
      lock
      ;;
  esac
  # Not behind `||`, where the shell would go on after an error.
  set +e
  (
    set -e
    "step_$2"
  )
  status=$?
  set -e
  answer end "$status"
  exit "$status"
}
