/** A local chain that containers can reach, with a validator and a miner registered on it, and their wallets. */
import { chmod, chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { type Member, makeWallets, NETUID, writeGenesis } from '@horde/devnet/genesis'
import { docker } from './images.ts'

const BLOCK_MS = 500
/** The id of the user and the group that a validator's container runs as. */
const WALLET_USER = 1000

export interface ChainAndWallets extends AsyncDisposable {
  chain: Devchain
  /** The address of this machine that the chain listens on. Containers can reach it. */
  address: string
  validator: Member
  miner: Member
  /** Returns the settings that a role needs to find the chain and its keys. */
  settingsOf(member: Member): Record<string, string>
}

/**
 * Creates the wallets, then starts a chain on which both hotkeys are registered.
 * @param listenAddress an address of this machine that containers can reach. Default: that of the engine's bridge
 */
export async function startChainAndWallets(listenAddress?: string): Promise<ChainAndWallets> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'compose-wallets-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const [validator, miner] = await makeWallets(folder, 1)
  if (!validator || !miner) throw new Error('makeWallets made no miner')
  await giveToValidator(folder, validator)
  const genesis = JSON.parse(await readFile(await writeGenesis(folder, [validator, miner]), 'utf8'))
  const address = listenAddress ?? (await bridgeAddress())
  const chain = stack.use(await startDevchain({ host: address, blockMs: BLOCK_MS, genesis }))
  const opened = stack.move()
  return {
    chain,
    address,
    validator,
    miner,
    settingsOf: ({ name }) => ({
      BITTENSOR_NETUID: String(NETUID),
      BITTENSOR_NETWORK: chain.url,
      WALLET_FOLDER: folder,
      BITTENSOR_WALLET_NAME: name,
    }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Returns the address of the engine's bridge. Older engines do not report it: it is the subnet's first address. */
async function bridgeAddress(): Promise<string> {
  const [{ IPAM }] = JSON.parse(await docker('network', 'inspect', 'bridge'))
  const { Gateway, Subnet } = IPAM.Config[0] as { Gateway?: string; Subnet: string }
  return Gateway ?? Subnet.replace(/\.\d+\/\d+$/, '.1')
}

/** Gives the validator's wallet to the user that its container runs as, readable by no other, as on a server. */
async function giveToValidator(folder: string, { name }: Member): Promise<void> {
  await chmod(folder, 0o755)
  const own = async (path: string, mode: number) => {
    await chmod(path, mode)
    await chown(path, WALLET_USER, WALLET_USER)
  }
  await own(join(folder, name), 0o700)
  await own(join(folder, name, 'hotkeys'), 0o700)
  await own(join(folder, name, 'hotkeys', 'default'), 0o600)
}
