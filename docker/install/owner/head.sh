set -uo pipefail

DEFAULT_NETWORK=finney
DEFAULT_NETUID=12
# Where a release's sources are, as an address that ends in .tar.gz#sha256=…; empty until there is a release.
RELEASE_ADDRESS=''

EXIT_FAILED=1
EXIT_MISTAKE=2
EXIT_REBOOT=3
