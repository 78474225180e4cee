# shellcheck shell=bash
# Installs Bittensor's programs that tests run against ours, each in its own virtual environment: the current SDK, which
# contains btcli, the one before it, and ComputeHorde's validator client, for `pnpm test:peers`; the older btcli for
# `pnpm test:deploy`. Each takes up to 350 MB, so only `bin/setup --sdks` and `bin/setup --peers` install them.

readonly PEERS_FOLDER=.venvs
# Each entry is a folder and its packages for pip. All that talks to the chain is pinned, so that a new release of it
# does not break our tests.
readonly SDKS=(
  'bittensor bittensor==11.3.0 bittensor-core==0.1.5'
  "bittensor-10 bittensor==10.5.0 async-substrate-interface==2.2.1 cyscale==0.5.0 \
bittensor-wallet==4.1.1 bittensor-drand==2.0.0"
  "compute-horde compute-horde==0.0.27 compute-horde-sdk==0.0.19 bittensor==9.12.2 bittensor-wallet==4.1.1 \
bittensor-drand==1.3.0 async-substrate-interface==1.6.4 Django==4.2.30"
)
readonly OLDER_BTCLI='bittensor-cli bittensor-cli==9.23.2'

# Installs the SDKs.
setup_sdks() {
  local sdk
  for sdk in "${SDKS[@]}"; do setup_peer "$sdk"; done
}

# Installs the SDKs and the older btcli.
setup_peers() {
  setup_sdks
  setup_peer "$OLDER_BTCLI"
}

# Installs packages in a virtual environment, unless they are there.
setup_peer() { # setup_peer 'FOLDER PACKAGE==VERSION…'
  local folder=$PEERS_FOLDER/${1%% *} packages=${1#* }
  # This file is written last, so an interrupted installation starts again.
  if [ "$(cat "$folder/installed" 2>/dev/null)" = "$packages" ]; then
    say "peers: ${packages%% *} is installed"
  else
    install_peer "$folder" "$packages"
  fi
}

# Makes a virtual environment and installs packages in it.
install_peer() { # install_peer FOLDER 'PACKAGE==VERSION…'
  local packages
  read -ra packages <<<"$2"
  # Without the package python3-venv, Debian's Python has the module venv, but not ensurepip, which venv needs.
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  say "peers: installing ${packages[0]} from PyPI"
  as_developer /usr/bin/python3 -m venv --clear "$1"
  # --no-compile: most modules are never imported. Python compiles a module when it is imported.
  as_developer "$1/bin/pip" install --quiet --no-compile "${packages[@]}" ||
    fail "pip could not install $2" "try it by hand: $1/bin/pip install $2"
  printf '%s\n' "$2" | as_developer tee "$1/installed" >/dev/null
}
