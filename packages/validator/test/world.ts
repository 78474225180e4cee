import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hotkeyFromUri, writeHotkeyFile } from '@horde/chain/wallet'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { HOST, type Peer, type ScriptedMiner, startScriptedMiner } from '@horde/testing/peers/scripted-miner'

export const NETUID = 3
const TAO = 1_000_000_000n

export interface World extends AsyncDisposable {
  devchain: Devchain
  miners: ScriptedMiner[]
  /** A private folder with the validator's wallet. */
  folder: string
  /** The settings of the validator. */
  env: Record<string, string>
}

/** The stake of the validator. */
const STAKE_TAO = 5_000n

/**
 * Starts a chain with a validator that has a permit (uid 0), and a miner for each script (uids from 1).
 *
 * @param stakeThresholdTao the least stake of a validator. Above 5,000 this validator has no turn for batches
 */
export async function startWorld(
  scripts: readonly ((peer: Peer) => Promise<void>)[],
  stakeThresholdTao = 0n,
): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'horde-validator-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const miners: ScriptedMiner[] = []
  for (const [i, script] of scripts.entries()) {
    miners.push(stack.use(await startScriptedMiner(hotkeyFromUri(`//world/${i}`), script)))
  }
  const coldkey = hotkeyFromUri('//Owner').ss58
  const neurons = [
    { hotkey: hotkeyFromUri('//Validator').ss58, coldkey, stake: String(STAKE_TAO * TAO) },
    ...miners.map(({ hotkey, port }) => ({ hotkey: hotkey.ss58, coldkey, axon: { ip: HOST, port } })),
  ]
  const hyperparameters = { CommitRevealWeightsEnabled: false, MinAllowedWeights: 1, WeightsSetRateLimit: 1 }
  const subnet = { netuid: NETUID, tempo: 2, hyperparameters, neurons }
  const genesis = { sudo: coldkey, stakeThreshold: String(stakeThresholdTao * TAO), subnets: [subnet] }
  const devchain = stack.use(await startDevchain({ blockMs: 100, genesis }))
  // Permits are given at an epoch.
  for (let block = 0; block < 2 * subnet.tempo + 2; block += 1) await devchain.mineBlock()
  await writeHotkeyFile({ directory: folder, name: 'default', hotkey: 'default' }, '//Validator')
  const env = {
    ...{ BITTENSOR_NETUID: String(NETUID), BITTENSOR_NETWORK: devchain.url, BITTENSOR_WALLET_DIRECTORY: folder },
    ...{ DATABASE_URL: `pglite://${join(folder, 'database')}`, ALLOW_PRIVATE_MINERS: 'true', LOG_LEVEL: 'warn' },
    ...{ MANIFEST_WAIT_MS: '200', DISK_LOW_BYTES: '0', DISK_FULL_BYTES: '0' },
  }
  const opened = stack.move()
  return { devchain, miners, folder, env, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
