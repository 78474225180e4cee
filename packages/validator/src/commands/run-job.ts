/** The command `run-job`: runs a user's job on a miner, from the command line. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hotkey as hotkeySchema, jobUuid } from '@horde/protocol/primitives'
import type { FacilitatorJobRequest, V0JobStatusUpdate } from '@horde/protocol/v0/facilitator-validator'
import type { JobResult } from '../db/jobs.ts'
import { KnownDialects } from '../jobs/dialects/known-dialects.ts'
import { chooseMiners, type ServingMiner, UnknownMinerError } from '../jobs/miners/find-miners.ts'
import { runOrganicJob } from '../organic/run-organic-job.ts'
import type { CommandDeps, WantedJob } from './command-line.ts'
import { type OpenValidator, openValidator } from './open-validator.ts'

const EXIT_FAILED = 1
/** The largest exit code that a process can end with. */
const MAX_EXIT = 255

/** Returns the job's exit code; 1 when it did not run to its end. */
export async function runJob(
  wanted: WantedJob,
  { environment, print, complain }: CommandDeps,
  signal: AbortSignal,
): Promise<number> {
  const script = await scriptOf(wanted)
  if (script === undefined) {
    complain(`the script cannot be read\n`)
    return EXIT_FAILED
  }
  await using stack = new AsyncDisposableStack()
  const opened = await openValidator(environment, { destination: process.stderr }, signal, stack)
  const { config, chain, hotkey, database, clock, log } = opened
  const miner = await findMiner(wanted.miner, opened)
  const request = requestOf(wanted, script, miner)
  complain(`job ${request.uuid} on ${miner.hotkey} at ${miner.address}\n`)
  const jobMs = wanted.timeoutSeconds === undefined ? config.organicLimits.jobMs : wanted.timeoutSeconds * 1000
  let last: V0JobStatusUpdate | undefined
  const deps = {
    ...{ netuid: config.BITTENSOR_NETUID, allowPrivate: config.ALLOW_PRIVATE_MINERS, source: 'command' as const },
    ...{ limits: { ...config.organicLimits, jobMs }, miner, executorClass: wanted.executorClass },
    ...{ chain, hotkey, db: database.db, clock, log },
    dialects: new KnownDialects({ keptMs: config.DIALECT_KEPT_SECONDS * 1000, clock, log }),
    onMoved: (state: string) => complain(`${state}\n`),
    report: (update: V0JobStatusUpdate) => {
      last = update
    },
  }
  const result = await runOrganicJob(request, deps, signal)
  print(result?.stdout ?? '')
  complain(result?.stderr ?? '')
  const exitCode = exitCodeOf(result)
  if (exitCode === undefined) complain(`${last?.metadata?.comment ?? 'The job was not run.'}\n`)
  return exitCode ?? EXIT_FAILED
}

/** Returns the exit code of the job's own process; undefined for a job that ended otherwise. */
function exitCodeOf(result: JobResult | undefined): number | undefined {
  if (result?.state === 'finished') return 0
  const exitStatus = result?.exitStatus ?? null
  if (result?.state !== 'failed' || exitStatus === null || exitStatus <= 0 || exitStatus > MAX_EXIT) return undefined
  return exitStatus
}

async function findMiner(name: string, { chain, config }: OpenValidator): Promise<ServingMiner> {
  const metagraph = await chain.metagraph(config.BITTENSOR_NETUID)
  const [miner] = chooseMiners([name], metagraph, config.ALLOW_PRIVATE_MINERS)
  if (!miner || !hotkeySchema.safeParse(miner.hotkey).success) throw new UnknownMinerError(`${name} is no miner`)
  return miner
}

/** Returns the script's text, empty for an image; undefined when the file cannot be read. */
async function scriptOf({ source }: WantedJob): Promise<string | undefined> {
  if ('image' in source) return ''
  return await readFile(source.script, 'utf8').catch(() => undefined)
}

function requestOf(wanted: WantedJob, script: string, miner: ServingMiner): FacilitatorJobRequest {
  const { source, args, gpu, input, output } = wanted
  return {
    ...{ type: 'job.new', message_type: 'V0JobRequest', uuid: jobUuid.parse(randomUUID()) },
    ...{ miner_hotkey: hotkeySchema.parse(miner.hotkey), docker_image: 'image' in source ? source.image : '' },
    ...{ raw_script: script, args, env: {}, use_gpu: gpu, input_url: input, output_url: output },
  }
}
