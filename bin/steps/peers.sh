# shellcheck shell=bash
# Other people's programs that the long matrix of deployment tests runs ours against: Bittensor's command line tool. About
# 110 MB, so only `bin/setup --peers` installs it.

readonly BITTENSOR_VERSION=11.3.0
readonly BITTENSOR_FOLDER=.venvs/bittensor

has_bittensor() {
  [ -x "$BITTENSOR_FOLDER/bin/btcli" ] && [ "$("$BITTENSOR_FOLDER/bin/btcli" --version 2>/dev/null)" = "$BITTENSOR_VERSION" ]
}

setup_peers() {
  if has_bittensor; then
    say "peers: btcli $BITTENSOR_VERSION is there"
    return
  fi
  # Debian's Python says that venv is there, and only making one shows that ensurepip is not.
  /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
  say "peers: installing bittensor $BITTENSOR_VERSION from PyPI"
  as_developer /usr/bin/python3 -m venv --clear "$BITTENSOR_FOLDER"
  as_developer "$BITTENSOR_FOLDER/bin/pip" install --quiet "bittensor==$BITTENSOR_VERSION" ||
    fail "pip could not install bittensor $BITTENSOR_VERSION" "see its words above: $BITTENSOR_FOLDER/bin/pip install bittensor==$BITTENSOR_VERSION"
}
