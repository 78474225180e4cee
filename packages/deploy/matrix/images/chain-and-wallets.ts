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
  /** The address of this machine that containers of every network reach. */
  bridge: string
  validator: Member
  miner: Member
  /** Settings that both roles need to find the chain and their keys. */
  environmentOf(member: Member): Record<string, string>
}

export async function startChainAndWallets(): Promise<ChainAndWallets> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'compose-wallets-'))
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  const [validator, miner] = await makeWallets(folder, 1)
  if (!validator || !miner) throw new Error('a network without members')
  await ownedByValidator(folder, validator)
  const genesis = JSON.parse(await readFile(await writeGenesis(folder, [validator, miner]), 'utf8'))
  const bridge = await docker('network', 'inspect', 'bridge', '--format', '{{(index .IPAM.Config 0).Gateway}}')
  const host = bridge === '' ? '172.17.0.1' : bridge
  const chain = stack.use(await startDevchain({ host, blockMs: BLOCK_MS, genesis }))
  const opened = stack.move()
  return {
    chain,
    bridge: host,
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
