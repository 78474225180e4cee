/** The keys and the first state of a local network: one subnet with validators that may set weights, and miners. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hotkeyFromUri, writeColdkeyPub, writeHotkeyFile } from '@horde/chain/wallet'
import type { Genesis } from '@horde/devchain/genesis'

export const NETUID = 1

const RAO_PER_TAO = 1_000_000_000n
/** More than any chain requires of a validator. */
const VALIDATOR_STAKE_RAO = 10_000n * RAO_PER_TAO
const COLDKEY_BALANCE_RAO = 1_000n * RAO_PER_TAO
/** Blocks between two settings of weights. Few, so that weights can be set after every batch of a fast local run. */
const WEIGHTS_RATE_LIMIT_BLOCKS = 2
const TEMPO_BLOCKS = 20

/** A member of the network: its wallet on disk, and its address on the chain. */
export type Member = { role: 'validator' | 'miner'; name: string; uid: number; hotkey: string; coldkey: string }

/**
 * Makes the wallets of one validator and `miners` miners below a folder: the validator has uid 0, the miners 1 and up.
 * The keys are new each time, so that two networks on one machine never take each other's executors for their own.
 */
export async function makeWallets(directory: string, miners: number): Promise<Member[]> {
  const seed = `0x${randomBytes(32).toString('hex')}`
  const names = ['validator', ...Array.from({ length: miners }, (_, index) => `miner-${index + 1}`)]
  return Promise.all(names.map((name, uid) => makeWallet(directory, seed, name, uid)))
}

async function makeWallet(directory: string, seed: string, name: string, uid: number): Promise<Member> {
  const place = { directory, name }
  const coldkey = hotkeyFromUri(`${seed}//${name}//coldkey`).ss58
  await writeHotkeyFile(place, `${seed}//${name}`)
  await writeColdkeyPub(place, coldkey)
  return { role: uid === 0 ? 'validator' : 'miner', name, uid, hotkey: hotkeyFromUri(`${seed}//${name}`).ss58, coldkey }
}

/** Writes the genesis file of a network, and returns its path. */
export async function writeGenesis(directory: string, members: readonly Member[]): Promise<string> {
  const file = join(directory, 'genesis.json')
  const genesis: Genesis = {
    balances: Object.fromEntries(members.map(({ coldkey }) => [coldkey, String(COLDKEY_BALANCE_RAO)])),
    sudo: hotkeyFromUri('//Alice').ss58,
    subnets: [
      {
        netuid: NETUID,
        tempo: TEMPO_BLOCKS,
        hyperparameters: { WeightsSetRateLimit: WEIGHTS_RATE_LIMIT_BLOCKS },
        neurons: members.map(({ hotkey, coldkey, role }) => {
          return { hotkey, coldkey, stake: role === 'validator' ? String(VALIDATOR_STAKE_RAO) : '0' }
        }),
      },
    ],
  }
  await writeFile(file, JSON.stringify(genesis, undefined, 2))
  return file
}
