# Messages for the owner, and questions to the owner.

# Prints its arguments as one line, with a space between two.
say() { printf '%s\n' "$*"; }

# Prints an error on stderr, and exits.
stop() { # stop EXIT-CODE WHAT [WHAT-TO-DO]
  printf '\n%s\n' "$2" >&2
  [ -z "${3:-}" ] || printf '  What to do: %s\n' "$3" >&2
  exit "$1"
}

# Adds a problem to the list that report_problems prints, so that one run names all of them.
problems=''
problem() { # problem WHAT WHAT-TO-DO
  problems="$problems- $1
  What to do: $2
"
}

# Prints all problems and exits, if there are any.
report_problems() {
  [ -n "$problems" ] || return 0
  printf '\nNothing was changed. Fix these problems first:\n%s' "$problems" >&2
  exit "$EXIT_MISTAKE"
}

# Whether there is a terminal to ask on. stdin does not count, because this script may come through it.
has_terminal() { { true </dev/tty; } 2>/dev/null; }

# Asks whether to begin, and exits unless the answer is yes.
confirm() {
  local answer=''
  [ "$assume_yes" = no ] || return 0
  has_terminal || stop "$EXIT_MISTAKE" 'There is no terminal to ask on. Nothing was changed.' 'pass --yes'
  printf '\nIs this your hotkey, and do you want to continue? [y/N] ' >/dev/tty
  IFS= read -r answer </dev/tty || true
  case $answer in y | Y | yes | Yes) ;; *) stop "$EXIT_MISTAKE" 'Stopped. Nothing was changed.' ;; esac
}

# Asks for a password without showing it. Sets `password`.
ask_password() { # ask_password QUESTION
  printf '%s' "$1" >/dev/tty
  IFS= read -r -s password </dev/tty || password=''
  printf '\n' >/dev/tty
}

# Prints a word in single quotes, for a shell.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; } # quoted WORD

# Prints a word for a command line that the owner may copy: in quotes only if it needs them.
quoted_if_needed() { # quoted_if_needed WORD
  case $1 in *[!A-Za-z0-9_./@:=-]*) quoted "$1" ;; *) printf '%s' "$1" ;; esac
}
