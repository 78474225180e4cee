/** The nodes of each Bittensor network, by the names that Bittensor's tools use. */
const NETWORKS: Readonly<Record<string, string>> = {
  finney: 'wss://entrypoint-finney.opentensor.ai:443',
  test: 'wss://test.finney.opentensor.ai:443',
  archive: 'wss://archive.chain.opentensor.ai:443',
  local: 'ws://127.0.0.1:9944',
}

/**
 * Returns the endpoints of BITTENSOR_NETWORK: finney, test, archive, local, host:port or a ws URL; or several of these,
 * separated by commas.
 * @throws RangeError naming the part that is not one of these
 */
export function endpointsOf(network: string): string[] {
  const parts = network
    .split(',')
    .map(part => part.trim())
    .filter(Boolean)
  if (parts.length === 0) throw new RangeError('no network is named')
  return [...new Set(parts.map(endpointOf))]
}

/** The networks that Bittensor's btcli knows by name. It takes any other as a URL. */
const BTCLI_NETWORKS = ['finney', 'test', 'local']

/** Returns the value for btcli's option `--network` that means the first of these endpoints. */
export function networkName([first = '']: readonly string[]): string {
  return BTCLI_NETWORKS.find(name => NETWORKS[name] === first) ?? first
}

function endpointOf(part: string): string {
  const url = NETWORKS[part] ?? (part.includes('://') ? part : `ws://${part}`)
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const isNode =
    parsed && /^wss?:$/.test(parsed.protocol) && (part.includes('://') || part in NETWORKS || /:\d+$/.test(part))
  if (!isNode) throw new RangeError(`${part} is not finney, test, archive, local, host:port or a ws URL`)
  return url
}
