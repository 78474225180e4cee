/** A local chain that containers reach, with a validator and a miner registered on it, and their wallets in a folder. */
import { chmod, chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Devchain, startDevchain } from '@horde/devchain/devchain'
import { type Member, makeWallets, NETUID, writeGenesis } from '@horde/devnet/genesis'
import { docker } from './images.ts'

const BLOCK_MS = 500
/** The user that a validator's container runs as. */
const WALLET_USER = 1000

export interface ChainAndWallets extends AsyncDisposable {
  chain: Devchain
  /** The address of this machine that the chain listens on, and that containers reach. */
  address: string
  validator: Member
  miner: Member
  /** Settings that both roles need to find the chain and their keys. */
  environmentOf(member: Member): Record<string, string>
}

/** @param given an address of this machine that containers reach; without it, that of the engine's bridge */
export async function startChainAndWallets(given?: string): Promise<ChainAndWallets> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'compose-wallets-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const [validator, miner] = await makeWallets(folder, 1)
  if (!validator || !miner) throw new Error('a network without members')
  await ownedByValidator(folder, validator)
  const genesis = JSON.parse(await readFile(await writeGenesis(folder, [validator, miner]), 'utf8'))
  const address = given ?? (await bridgeAddress())
  const chain = stack.use(await startDevchain({ host: address, blockMs: BLOCK_MS, genesis }))
  const opened = stack.move()
  return {
    chain,
    address,
    validator,
    miner,
    environmentOf: ({ name }) => ({
      BITTENSOR_NETUID: String(NETUID),
      BITTENSOR_NETWORK: chain.url,
      WALLET_FOLDER: folder,
      BITTENSOR_WALLET_NAME: name,
    }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** Older engines do not name the gateway of their bridge; it is the first address of the subnet. */
async function bridgeAddress(): Promise<string> {
  const [{ IPAM }] = JSON.parse(await docker('network', 'inspect', 'bridge'))
  const { Gateway, Subnet } = IPAM.Config[0] as { Gateway?: string; Subnet: string }
  return Gateway ?? Subnet.replace(/\.\d+\/\d+$/, '.1')
}

/** As on a server: the files are closed to all but the user that the validator runs as. */
async function ownedByValidator(folder: string, { name }: Member): Promise<void> {
  await chmod(folder, 0o755)
  const own = async (path: string, mode: number) => {
    await chmod(path, mode)
    await chown(path, WALLET_USER, WALLET_USER)
  }
  await own(join(folder, name), 0o700)
  await own(join(folder, name, 'hotkeys'), 0o700)
  await own(join(folder, name, 'hotkeys', 'default'), 0o600)
}
