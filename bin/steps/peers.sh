# shellcheck shell=bash
# Other people's programs that the long matrix of deployment tests runs ours against: Bittensor's command line tool, today's and
# the older one, in virtual environments of their own. About 310 MB, so only `bin/setup --peers` installs them.

readonly PEERS_FOLDER=.venvs
readonly PEERS=(bittensor==11.3.0 bittensor-cli==9.23.2)

setup_peers() {
  local peer folder
  for peer in "${PEERS[@]}"; do
    folder=$PEERS_FOLDER/${peer%%==*}
    # Written last, so that what was interrupted is made anew.
    if [ "$(cat "$folder/installed" 2>/dev/null)" = "$peer" ]; then
      say "peers: $peer is there"
    else
      install_peer "$peer" "$folder"
    fi
  done
}

install_peer() { # install_peer PACKAGE==VERSION FOLDER
  # Debian's Python says that venv is there, and only ensurepip shows that it is not.
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  say "peers: installing $1 from PyPI"
  as_developer /usr/bin/python3 -m venv --clear "$2"
  as_developer "$2/bin/pip" install --quiet "$1" ||
    fail "pip could not install $1" "see what it says: $2/bin/pip install $1"
  printf '%s\n' "$1" | as_developer tee "$2/installed" >/dev/null
}
