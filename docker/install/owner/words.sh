# What the owner reads and answers.

say() { printf '%s\n' "$*"; }

stop() { # stop EXIT-CODE WHAT [WHAT-TO-DO]
  printf '\n%s\n' "$2" >&2
  [ -z "${3:-}" ] || printf '  What to do: %s\n' "$3" >&2
  exit "$1"
}

# Mistakes are gathered and said together, so that one run names them all.
problems=''
problem() { # problem WHAT WHAT-TO-DO
  problems="$problems- $1
  What to do: $2
"
}

report_problems() {
  [ -n "$problems" ] || return 0
  printf '\nNothing was changed. This stands in the way:\n%s' "$problems" >&2
  exit "$EXIT_MISTAKE"
}

# Questions go to the terminal: stdin may be the pipe that this script comes through.
has_terminal() { { true </dev/tty; } 2>/dev/null; }

confirm() {
  local answer=''
  [ "$assume_yes" = no ] || return 0
  has_terminal || stop "$EXIT_MISTAKE" 'There is no terminal to ask on. Nothing was changed.' 'pass --yes'
  printf '\nIs this your hotkey, and shall this be done? [y/N] ' >/dev/tty
  IFS= read -r answer </dev/tty || true
  case $answer in y | Y | yes | Yes) ;; *) stop "$EXIT_MISTAKE" 'Stopped. Nothing was changed.' ;; esac
}

ask_password() { # ask_password QUESTION: sets password
  printf '%s' "$1" >/dev/tty
  IFS= read -r -s password </dev/tty || password=''
  printf '\n' >/dev/tty
}

# A word as the shell of the server reads it again.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# A word as it may be copied to a command line.
shown() {
  case $1 in *[!A-Za-z0-9_./@:=-]*) quoted "$1" ;; *) printf '%s' "$1" ;; esac
}
