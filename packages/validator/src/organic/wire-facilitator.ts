/** Wires what runs users' jobs for a facilitator. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { ValidatorConfig } from '../config.ts'
import { markReported } from '../db/jobs.ts'
import { markUserJobReported } from '../db/users/user-jobs.ts'
import type { KnownDialects } from '../jobs/dialects/known-dialects.ts'
import { chooseMiners, servingMiners, UnknownMinerError } from '../jobs/miners/find-miners.ts'
import { MinerManifests } from '../jobs/miners/miner-manifests.ts'
import { MinerPicker } from '../jobs/miners/pick-miner.ts'
import { FacilitatorConnection } from './facilitator-connection.ts'
import { resumableJobs, runOrganicJob } from './run-organic-job.ts'
import { signatureRulesOf } from './settings.ts'
import { takeCheatReport } from './users/cheat-report.ts'
import { resumableUserJobs, runUserJob, type UserJobDeps } from './users/run-user-job.ts'

export interface FacilitatorDeps {
  config: ValidatorConfig
  chain: Chain
  hotkey: Hotkey
  dialects: KnownDialects
  db: Database
  /** Whether jobs that a stop interrupts stay open, so that the next start resumes them. */
  keepOpen: boolean
  clock: Clock
  log: Log
}

export function wireFacilitator(deps: FacilitatorDeps) {
  const { config, chain, hotkey, dialects, db, keepOpen, clock, log } = deps
  const { organicLimits: limits, ALLOW_PRIVATE_MINERS: allowPrivate, BITTENSOR_NETUID: netuid } = config
  const rules = signatureRulesOf(config, hotkey.ss58)
  const manifests = new MinerManifests({
    ...{ hotkey, dialects, manifestMs: limits.manifestMs, clock, log },
    // A miner whose turn comes a little later is still known.
    keptMs: config.MANIFEST_POLL_SECONDS * 1500,
    maxExecutors: config.MAX_JOBS_PER_MINER,
  })
  const driving = { hotkey, dialects, db, clock, log }
  const organic = { ...driving, netuid, source: 'facilitator', allowPrivate, limits, chain } as const
  const userJobs: UserJobDeps = {
    ...{
      ...driving,
      limits,
      rules,
      keepOpen,
      maxTries: config.USER_JOB_TRIES,
      maxSeconds: config.USER_JOB_MAX_SECONDS,
    },
    picker: new MinerPicker({
      ...{ netuid, hotkey: hotkey.ss58, allowPrivate, chain, manifests, db, clock, random: Math.random },
    }),
    trustedMiner: () => trustedMiner(deps),
  }
  return {
    facilitator: () => {
      if (config.FACILITATOR_URI === undefined) return undefined
      return new FacilitatorConnection({
        ...{ uri: config.FACILITATOR_URI, hotkey, clock, log },
        resumableJobs: async signal => [
          ...(await resumableJobs(organic, signal)),
          ...(await resumableUserJobs(userJobs, signal)),
        ],
        onReported: ({ uuid }) => {
          const at = new Date(clock.now())
          Promise.all([markReported(db, uuid, at), markUserJobReported(db, uuid, at)]).catch(err => {
            const problem = 'job could not be marked as reported; it is reported again after a restart'
            log.warn({ err, jobUuid: uuid }, problem)
          })
        },
        run: (request, report, signal) => runOrganicJob(request, { ...organic, report }, signal),
        runUserJob: (received, report, signal) => runUserJob(received, userJobs, report, signal),
        onCheated: received => takeCheatReport(received, { hotkey: hotkey.ss58, db, rules, clock, log }),
      })
    },
    askManifests: async (signal: AbortSignal) => {
      const { miners } = servingMiners(await chain.metagraph(netuid), hotkey.ss58, allowPrivate)
      await manifests.ask(miners, signal)
    },
  }
}

async function trustedMiner({ config, chain, log }: FacilitatorDeps) {
  const { TRUSTED_MINER: name, BITTENSOR_NETUID: netuid, ALLOW_PRIVATE_MINERS: allowPrivate } = config
  if (name === undefined) return undefined
  try {
    return chooseMiners([name], await chain.metagraph(netuid), allowPrivate)[0]
  } catch (err) {
    if (!(err instanceof UnknownMinerError)) throw err
    log.error({ err }, 'the trusted miner cannot be dialled')
    return undefined
  }
}
