/** A validator with a scripted facilitator of v2026 and scripted miners. */
import { randomUUID } from 'node:crypto'
import type { Neuron } from '@horde/chain/metagraph'
import { type Hotkey, hotkeyFromUri } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import { type Log, silentLog } from '@horde/kit/log'
import { type Clock, systemClock } from '@horde/kit/time'
import { HOST, startScriptedMiner, type Peer as V0Peer } from '@horde/testing/peers/scripted-miner'
import { startFacilitator2026, USER } from '@horde/testing/peers/v2026/facilitator'
import { type Miner2026, type Peer2026, startMiner2026 } from '@horde/testing/peers/v2026/scripted-miner'
import { markReported } from '../../src/db/jobs.ts'
import { markUserJobReported } from '../../src/db/users/user-jobs.ts'
import { MinerManifests } from '../../src/jobs/miners/miner-manifests.ts'
import { MinerPicker } from '../../src/jobs/miners/pick-miner.ts'
import { FacilitatorConnection } from '../../src/organic/facilitator-connection.ts'
import { resumableJobs, runOrganicJob } from '../../src/organic/run-organic-job.ts'
import { takeCheatReport } from '../../src/organic/users/cheat-report.ts'
import { resumableUserJobs, runUserJob, type UserJobDeps } from '../../src/organic/users/run-user-job.ts'
import { AT_ONCE, unknownDialects, VALIDATOR } from '../jobs/drive.ts'

type Script2026 = (peer: Peer2026) => Promise<unknown>

export interface WorldOptions extends Partial<Pick<UserJobDeps, 'rules' | 'limits' | 'maxTries' | 'maxSeconds'>> {
  db: Database
  /** The miners, the first with uid 0. */
  miners?: ({ v2026: Script2026 } | { v0: (peer: V0Peer) => Promise<unknown> })[]
  trusted?: number
  /** How many executors of a miner count at most. */
  maxExecutors?: number
  capabilities?: string
  /** The largest frame that the facilitator takes. */
  maxFrameBytes?: number
  random?: () => number
  clock?: Clock
  log?: Log
}

const LIMITS = { connectMs: 10_000, manifestMs: 500, readyMs: 10_000, reservationMs: 7_000, jobMs: 10_000 }

export async function startUserWorld(options: WorldOptions) {
  const stack = new AsyncDisposableStack()
  const { db, clock = systemClock, log = silentLog, miners: scripts = [] } = options
  const facilitator = stack.use(await startFacilitator2026(options))
  const miners: { hotkey: Hotkey; address: string; of2026?: Miner2026 }[] = []
  for (const script of scripts) {
    // Other tests of the database know other miners.
    const hotkey = hotkeyFromUri(`//${randomUUID()}`)
    if ('v2026' in script) {
      const miner = stack.use(await startMiner2026(hotkey, script.v2026))
      miners.push({ hotkey, address: miner.address, of2026: miner })
    } else miners.push(stack.use(await startScriptedMiner(hotkey, async peer => void (await script.v0(peer)))))
  }
  const neurons: Neuron[] = miners.map(({ hotkey: { ss58 }, address }, uid) => ({
    ...{ uid, hotkey: ss58, coldkey: ss58, stakeRao: 0n, validatorPermit: false, lastUpdate: 0 },
    axon: { ip: HOST, port: Number(address.split(':')[1]), ipType: 4 as const, protocol: 4, version: 0, block: 1 },
  }))
  const chain = { metagraph: async () => ({ netuid: 1, block: 1, neurons }) }
  const dialects = unknownDialects()
  const driving = { hotkey: VALIDATOR, dialects, db, clock, log, reconnect: AT_ONCE, limits: options.limits ?? LIMITS }
  const rules = options.rules ?? { signers: new Set([USER.ss58]), maxAgeMs: 3_600_000, once: true }
  const counting = { keptMs: 60_000, manifestMs: 500, maxExecutors: options.maxExecutors ?? 64 }
  const manifests = new MinerManifests({ hotkey: VALIDATOR, dialects, ...counting, clock, log })
  const picking = { netuid: 1, hotkey: VALIDATOR.ss58, allowPrivate: true, chain, manifests, db, clock }
  const deps: UserJobDeps = {
    ...{ ...driving, rules, maxTries: options.maxTries ?? 3, maxSeconds: options.maxSeconds ?? 3_600, keepOpen: true },
    picker: new MinerPicker({ ...picking, random: options.random ?? (() => 0) }),
    trustedMiner: async () => {
      const [uid, miner] = [options.trusted, miners[options.trusted ?? -1]]
      return miner && { uid: uid ?? 0, hotkey: miner.hotkey.ss58, address: miner.address }
    },
  }
  const organic = { ...driving, netuid: 1, source: 'facilitator' as const, allowPrivate: true, chain }
  /** Starts a process of the validator. The caller or the world disposes of it. */
  const connect = () =>
    stack.use(
      new FacilitatorConnection({
        ...{ uri: facilitator.uri, hotkey: VALIDATOR, reconnect: AT_ONCE, clock, log },
        run: (job, report, signal) => runOrganicJob(job, { ...organic, report }, signal),
        runUserJob: (received, report, signal) => runUserJob(received, deps, report, signal),
        onCheated: received => takeCheatReport(received, { hotkey: VALIDATOR.ss58, db, rules, clock, log }),
        resumableJobs: async signal => [
          ...(await resumableJobs(organic, signal)),
          ...(await resumableUserJobs(deps, signal)),
        ],
        onReported: ({ uuid }) => {
          void markReported(db, uuid, new Date())
          void markUserJobReported(db, uuid, new Date())
        },
      }),
    )
  const connection = connect()
  await facilitator.until(() => facilitator.peers.length > 0)
  return {
    ...{ facilitator, miners, connection, connect, ask: facilitator.ask, manifests, deps },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}
