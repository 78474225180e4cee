# shellcheck shell=bash
# Other people's programs that ours are tested against, in virtual environments of their own: Bittensor's SDK of today (btcli is
# in it) and the one before, for `pnpm test:peers`, and the older btcli, for the long matrix of deployment tests as well. Up to
# 215 MB each, so only `bin/setup --sdks` and `bin/setup --peers` install them.

readonly PEERS_FOLDER=.venvs
# Folder, and packages for pip. What speaks to the chain has a version, so that a new release of it cannot fail our tests.
readonly SDKS=(
  'bittensor bittensor==11.3.0 bittensor-core==0.1.5'
  'bittensor-10 bittensor==10.5.0 async-substrate-interface==2.2.1 cyscale==0.5.0 bittensor-wallet==4.1.1 bittensor-drand==2.0.0'
)
readonly OLDER_BTCLI='bittensor-cli bittensor-cli==9.23.2'

setup_sdks() {
  local sdk
  for sdk in "${SDKS[@]}"; do setup_peer "$sdk"; done
}

setup_peers() {
  setup_sdks
  setup_peer "$OLDER_BTCLI"
}

setup_peer() { # setup_peer 'FOLDER PACKAGE==VERSION…'
  local folder=$PEERS_FOLDER/${1%% *} packages=${1#* }
  # Written last, so that what was interrupted is made anew.
  if [ "$(cat "$folder/installed" 2>/dev/null)" = "$packages" ]; then
    say "peers: ${packages%% *} is there"
  else
    install_peer "$folder" "$packages"
  fi
}

install_peer() { # install_peer FOLDER 'PACKAGE==VERSION…'
  local packages
  read -ra packages <<<"$2"
  # Debian's Python says that venv is there, and only ensurepip shows that it is not.
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  say "peers: installing ${packages[0]} from PyPI"
  as_developer /usr/bin/python3 -m venv --clear "$1"
  # Most of what comes with them is never imported: Python compiles what is, when it is.
  as_developer "$1/bin/pip" install --quiet --no-compile "${packages[@]}" ||
    fail "pip could not install $2" "see what it says: $1/bin/pip install $2"
  printf '%s\n' "$2" | as_developer tee "$1/installed" >/dev/null
}
