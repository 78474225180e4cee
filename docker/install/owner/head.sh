set -uo pipefail

DEFAULT_NETWORK=finney
DEFAULT_NETUID=12
# The address of a release's sources, ending in .tar.gz#sha256=…. Empty until there is a release.
RELEASE_ADDRESS=''

EXIT_FAILED=1
EXIT_MISTAKE=2
EXIT_REBOOT=3
