/** The command `run-job`: a user's job on a miner, from the command line. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { FacilitatorJobRequest, V0JobStatusUpdate } from '@horde/protocol/facilitator-validator'
import { hotkey as hotkeySchema, jobUuid } from '@horde/protocol/primitives'
import { findJob, type JobOutcome } from '../db/organic-jobs.ts'
import { chooseMiners, UnknownMinerError } from '../miner/choose.ts'
import type { ServingMiner } from '../miner/serving.ts'
import { sentenceOf } from '../organic/status-updates.ts'
import { runOrganicJob } from '../run-organic-job.ts'
import type { WantedJob } from './command-line.ts'
import { type OpenValidator, openValidator } from './open-validator.ts'
import type { CommandDeps } from './run-command.ts'

/** How often the job's state is looked at, in milliseconds. */
const LOOK_MS = 200
const EXIT_FAILED = 1
/** The largest exit code that a process can end with. */
const MAX_EXIT = 255

/** Gives the job's exit code; 1 when it did not run to its end. */
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
  const deps = await openValidator(environment, { destination: process.stderr }, signal, stack)
  const miner = await minerOf(wanted.miner, deps)
  const request = requestOf(wanted, script, miner)
  const update = await driveAndTell(request, { wanted, miner, ...deps }, complain, signal)
  const outcome = await findJob(deps.database.db, request.uuid)
  const said = update?.metadata?.miner_response
  if (said) {
    print(said.docker_process_stdout)
    complain(said.docker_process_stderr)
  }
  return exitCodeOf(outcome, update, complain)
}

type RunDeps = OpenValidator & { wanted: WantedJob; miner: ServingMiner }

/** Drives the job to its end, and says each of its states. Gives what a facilitator would be told last. */
async function driveAndTell(
  request: FacilitatorJobRequest,
  deps: RunDeps,
  complain: (text: string) => void,
  signal: AbortSignal,
): Promise<V0JobStatusUpdate | undefined> {
  const { config, chain, hotkey, database, clock, log, wanted, miner } = deps
  let last: V0JobStatusUpdate | undefined
  const { organicLimits, BITTENSOR_NETUID: netuid, ALLOW_PRIVATE_MINERS: allowPrivate } = config
  const jobMs = wanted.timeoutSeconds === undefined ? organicLimits.jobMs : wanted.timeoutSeconds * 1000
  complain(`job ${request.uuid} on ${miner.hotkey} at ${miner.address}\n`)
  const over = new AbortController()
  const watching = tellStates(request.uuid, deps, complain, over.signal)
  const options = { netuid, allowPrivate, limits: { ...organicLimits, jobMs }, source: 'command', miner } as const
  const organic = { ...options, executorClass: wanted.executorClass, chain, hotkey, db: database.db, clock, log }
  const report = (update: V0JobStatusUpdate) => {
    last = update
  }
  await runOrganicJob(request, { ...organic, report }, signal)
  over.abort()
  await watching
  return last
}

/** Says each state that the job has come to, until it is over. */
async function tellStates(
  uuid: string,
  { database, clock }: Pick<OpenValidator, 'database' | 'clock'>,
  complain: (text: string) => void,
  over: AbortSignal,
): Promise<void> {
  let told: string | undefined
  const look = async () => {
    const state = (await findJob(database.db, uuid).catch(() => undefined))?.state
    if (state !== undefined && state !== told) complain(`${state}\n`)
    told = state ?? told
  }
  while (!over.aborted) {
    await look()
    await clock.sleep(LOOK_MS, over).catch(() => {})
  }
  await look()
}

function exitCodeOf(
  outcome: JobOutcome | undefined,
  update: V0JobStatusUpdate | undefined,
  complain: (text: string) => void,
): number {
  if (outcome?.state === 'finished') return 0
  const { exitStatus = null, reason = null, timeoutSeconds = null } = outcome ?? {}
  if (outcome?.state === 'failed' && exitStatus !== null && exitStatus > 0 && exitStatus <= MAX_EXIT) return exitStatus
  const comment = update?.metadata?.comment ?? 'The job was not run.'
  complain(`${reason === null ? comment : sentenceOf(reason, timeoutSeconds)}\n`)
  return EXIT_FAILED
}

async function minerOf(name: string, { chain, config }: OpenValidator): Promise<ServingMiner> {
  const metagraph = await chain.metagraph(config.BITTENSOR_NETUID)
  const [miner] = chooseMiners([name], metagraph, config.ALLOW_PRIVATE_MINERS)
  if (!miner || !hotkeySchema.safeParse(miner.hotkey).success) throw new UnknownMinerError(`${name} is no miner`)
  return miner
}

/** Empty for an image; undefined when the file cannot be read. */
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
