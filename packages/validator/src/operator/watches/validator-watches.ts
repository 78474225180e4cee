/** The watches of a validator, and what they share with `check`. */
import { neuronNames, registerCommand } from '@horde/chain/btcli/commands'
import type { Chain } from '@horde/chain/chain'
import type { Database } from '@horde/kit/database'
import type { Clock } from '@horde/kit/time'
import { clockWatch } from '@horde/operator/watch/clock'
import { databaseWatch } from '@horde/operator/watch/database'
import { type DiskFolder, databaseFolder, diskRules, diskWatch } from '@horde/operator/watch/disk'
import { type OwnNeuron, registrationWatch } from '@horde/operator/watch/registration'
import type { Watch } from '@horde/operator/watch/watches'
import { AUTHENTICATION_WINDOW_SECONDS } from '@horde/protocol/v0/validator-miner'
import type { ValidatorConfig } from '../../config.ts'
import { eligibilityWatch, type KnownSubnet } from './eligibility.ts'

export type ValidatorWatchesDeps = {
  config: ValidatorConfig
  chain: Pick<Chain, 'state' | 'blockTime'>
  hotkey: string
  db: Database
  /** Returns the chain's last answer about the subnet; undefined before the first one. */
  subnet(): KnownSubnet | undefined
  clock: Clock
}

export function validatorWatches({ config, chain, hotkey, db, subnet, clock }: ValidatorWatchesDeps): Watch[] {
  const own = { hotkey, names: neuronNames(config) }
  return [
    registrationWatch(ownNeuron(hotkey, config), () => subnet()?.metagraph),
    eligibilityWatch({ ...own, versionKey: config.WEIGHTS_VERSION_KEY }, subnet),
    clockWatch({ chain, clock }, AUTHENTICATION_WINDOW_SECONDS),
    databaseWatch(db, clock),
    diskWatch(async () => diskFolders(config), diskRules(config)),
  ]
}

/** Returns what the registration watch and `check` need to know of this validator. */
export function ownNeuron(hotkey: string, config: ValidatorConfig): OwnNeuron {
  const purpose = 'miners and the chain accept registered validators only'
  return { hotkey, registerCommand: registerCommand(neuronNames(config)), purpose }
}

/** Returns the folders on this machine whose disks are watched. A database on another machine is not watched. */
export function diskFolders({ databaseUrl, DISK_FOLDERS }: ValidatorConfig): DiskFolder[] {
  const folder = databaseFolder(databaseUrl)
  const named = DISK_FOLDERS.map(path => ({ of: path, path }))
  return folder === undefined ? named : [{ of: 'database', path: folder }, ...named]
}
