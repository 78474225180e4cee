import { accountOf, type ParsedGenesis } from './genesis.ts'
import { balancesStorage, EXISTENTIAL_DEPOSIT } from './pallets/balances.ts'
import { subtensorStorage as storage } from './pallets/subtensor/storage.ts'
import { sudoStorage } from './pallets/sudo.ts'
import { systemStorage } from './pallets/system.ts'
import { assignPermits } from './runtime/subtensor/epoch.ts'
import { initNetwork } from './runtime/subtensor/networks.ts'
import { associate, placeNeuron } from './runtime/subtensor/register.ts'
import { changeStake } from './runtime/subtensor/stake.ts'
import type { Hex } from './scale/bytes.ts'
import type { State } from './state/state.ts'
import { Store } from './state/store.ts'
import type { Placed } from './table/storage-entry.ts'

type Subnet = ParsedGenesis['subnets'][number]
type Neuron = Subnet['neurons'][number]

const GENESIS_BLOCK = 0n
/** Python SDKs send this version; the chain ignores it. */
const AXON_PROTOCOL = 4

/** Builds the first state of the chain. */
export function genesisStore(genesis: ParsedGenesis, empty: ReturnType<State['at']>): Store {
  const store = new Store(empty)
  for (const [address, free] of Object.entries(genesis.balances)) endow(store, accountOf(address), free)
  store.set(sudoStorage.Key, [], genesis.sudo)
  store.set(storage.StakeThreshold, [], genesis.stakeThreshold)
  store.set(storage.AdminFreezeWindow, [], genesis.adminFreezeWindow)
  for (const subnet of genesis.subnets) addSubnet(store, subnet)
  return store
}

function endow(store: Store, account: Hex, free: bigint): void {
  if (free < EXISTENTIAL_DEPOSIT) return
  const info = store.get(systemStorage.Account, account)
  store.set(systemStorage.Account, [account], { ...info, providers: 1, data: { ...info.data, free } })
  store.update(balancesStorage.TotalIssuance, [], total => total + free)
}

/** Adds a subnet as if it had been registered in block 0, with its neurons on uids 0, 1, … and permits by stake. */
function addSubnet(store: Store, { netuid, tempo, hyperparameters, owner, neurons }: Subnet): void {
  initNetwork(store, netuid, GENESIS_BLOCK, tempo)
  store.set(storage.SubtokenEnabled, [netuid], true)
  // A subnet of the file accepts plain set_weights unless the file says otherwise. A subnet registered later has the
  // default.
  store.set(storage.CommitRevealWeightsEnabled, [netuid], false)
  writeHyperparameters(store, netuid, hyperparameters)
  if (owner) {
    associate(store, owner.hotkey, owner.coldkey)
    store.set(storage.SubnetOwner, [netuid], owner.coldkey)
    store.set(storage.SubnetOwnerHotkey, [netuid], owner.hotkey)
  }
  for (const [uid, neuron] of neurons.entries()) addNeuron(store, netuid, uid, neuron)
  assignPermits(store, netuid)
}

export function writeHyperparameters(store: Store, netuid: number, values: Subnet['hyperparameters']): void {
  for (const [name, value] of Object.entries(values)) {
    const entry = storage[name as keyof typeof storage] as Placed<[number], unknown, unknown>
    if (value !== undefined) store.set(entry, [netuid], value)
  }
}

function addNeuron(store: Store, netuid: number, uid: number, { hotkey, coldkey, stake, axon }: Neuron): void {
  associate(store, hotkey, coldkey)
  // Block 0 counts as never updated, so weights may be set at once.
  placeNeuron(store, { netuid, uid, hotkey }, GENESIS_BLOCK)
  if (stake > 0n) changeStake(store, coldkey, { netuid, hotkey, amount: stake })
  if (!axon) return
  const rest = { version: 1, protocol: AXON_PROTOCOL, placeholder1: 0, placeholder2: 0 }
  store.set(storage.Axons, [netuid, hotkey], { block: GENESIS_BLOCK, ...rest, ...axon })
}
