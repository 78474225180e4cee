/** The `check` lines that only a validator has: about the chain, its benchmark, and its facilitator. */
import { neuronNames } from '@horde/chain/btcli/commands'
import { ChainError } from '@horde/chain/errors'
import { validatorRuleOf } from '@horde/chain/settings'
import { connectSubtensor } from '@horde/chain/subtensor'
import { bad, type Finding, ok, warn } from '@horde/kit/check/finding'
import { silentLog } from '@horde/kit/log'
import { dialSocket } from '@horde/kit/socket'
import { systemClock as clock } from '@horde/kit/time'
import { chainTimeFindings } from '@horde/operator/check/chain-time'
import { registrationFinding } from '@horde/operator/watch/registration'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/v0/validator-miner'
import { type BenchmarkSettings, loadBenchmark } from '../benchmarks/load-benchmark.ts'
import type { ValidatorConfig } from '../config.ts'
import { servingMiners } from '../jobs/miners/find-miners.ts'
import { eligibilityFindings, versionFindings } from './watches/eligibility.ts'
import { ownNeuron } from './watches/validator-watches.ts'

/** How long a node may take to accept the connection, in milliseconds. */
const CONNECT_MS = 20_000
/** How long the facilitator may take to accept the connection, in milliseconds. */
const DIAL_MS = 10_000

/** Whether the chain answers, its clock, what it allows this validator, and its miners. */
export async function* chainFindings(
  config: ValidatorConfig,
  hotkey: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const { BITTENSOR_NETWORK: endpoints, BITTENSOR_NETUID: netuid, ALLOW_PRIVATE_MINERS: allowPrivate } = config
  try {
    const options = { validatorRule: validatorRuleOf(config), log: silentLog, firstConnectionMs: CONNECT_MS }
    await using chain = await connectSubtensor({ endpoints, signal, ...options })
    yield* chainTimeFindings(chain, { windowSeconds: AUTHENTICATION_WINDOW_SECONDS, clock }, signal)
    const [metagraph, { stakeThresholdRao, weightsVersionKey }] = await Promise.all([
      chain.metagraph(netuid),
      chain.hyperparameters(netuid),
    ])
    const subnet = { metagraph, stakeThresholdRao, weightsVersionKey }
    yield* versionFindings(subnet, config.WEIGHTS_VERSION_KEY)
    if (hotkey !== undefined) {
      const own = { hotkey, names: neuronNames(config) }
      yield registrationFinding(metagraph, ownNeuron(hotkey, config))
      yield* eligibilityFindings(subnet, own)
    }
    yield minersFinding(servingMiners(metagraph, hotkey ?? '', allowPrivate))
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    yield bad('chain', error.message, 'see whether this machine reaches a node, and BITTENSOR_NETWORK and _NETUID')
  }
}

function minersFinding({ miners, skipped }: ReturnType<typeof servingMiners>): Finding {
  const others = skipped === 0 ? '' : `; ${skipped} more at private addresses are not dialled`
  if (miners.length > 0) return ok('miners', `${miners.length} have announced an address${others}`)
  return warn('miners', `none has announced an address${others}`, 'see whether BITTENSOR_NETUID is the right one')
}

/** The `check` line about the benchmark: whether it can be loaded and makes a job. */
export async function benchmarkFinding(settings: BenchmarkSettings, nowMs: number): Promise<Finding> {
  try {
    const benchmark = await loadBenchmark(settings)
    const { label, image, timeoutSeconds } = await benchmark.prepare(nowMs)
    return ok('benchmark', `${benchmark.name} makes jobs: ${label} now, by ${image}, within ${timeoutSeconds} s`)
  } catch (error) {
    return bad('benchmark', (error as Error).message, 'see BENCHMARK')
  }
}

/** The `check` line about the facilitator. Connects without a login, so a running validator keeps its connection. */
export async function facilitatorFinding(uri: string | undefined, signal: AbortSignal): Promise<Finding> {
  if (uri === undefined) return ok('facilitator', 'none is set: no jobs of users are taken')
  const host = URL.parse(uri)?.host ?? 'it'
  try {
    const within = AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)])
    const options = { parse: () => undefined, maxFrameBytes: 1_000_000, log: silentLog, signal: within }
    await using _ = await dialSocket(uri, options)
  } catch (error) {
    signal.throwIfAborted()
    return bad('facilitator', `${host} is away: ${(error as Error).message}`, 'see FACILITATOR_URI')
  }
  if (uri.startsWith('wss:')) return ok('facilitator', `${host} answers`)
  return warn('facilitator', `${host} answers, without TLS`, 'others can read along: use wss:')
}
