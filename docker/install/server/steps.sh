# The part of the install scripts that runs on the server. Each SSH command runs one step. Its answers are lines that
# begin with `@compute-horde@`, so the owner's machine can tell them from the output of a login profile or another
# program.

INSTALL_LOG=/var/log/compute-horde-install.log

# Prints an answer for the owner's machine. Each function below prints one kind of answer.
answer() { printf '@compute-horde@ %s %s\n' "$1" "$2" || true; } # answer KIND TEXT
# Shows a line to the owner at once.
say() { answer say "$*"; }
# Names something that the installation will do.
plan() { answer plan "$*"; }
# Names something that the owner should know before the installation begins.
warn() { answer warn "$*"; }
# Reports a fact about the server.
fact() { answer "fact-$1" "$2"; } # fact NAME TEXT
# Names something that the owner must fix before the installation can begin.
problem() { # problem WHAT WHAT-TO-DO
  answer problem "$1"
  answer todo "$2"
}
# Ends the step with an error.
fail() { # fail WHAT [WHAT-TO-DO]
  answer failed "$1"
  answer todo "${2:-read the lines above}"
  exit 1
}

# Runs the function step_STEP, answers with its exit code, and exits.
run_step() { # run_step ROLE STEP
  local status=0
  # A step runs to its end even if the connection is lost, because dpkg must not be interrupted.
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
  # Not `step || status=$?`: bash ignores `set -e` inside such a command, and the step would go on after an error.
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
