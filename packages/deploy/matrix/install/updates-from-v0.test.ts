/**
 * Updates both roles from the last commit that knows v0 alone: the miner first, and the validator first. Batches follow
 * each other meanwhile, and a user's job runs during the update of the miner.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { InstalledRole } from '../../src/install-script.ts'
import { InstalledRoles } from '../../src/testing/installed-roles.ts'
import { RealRoles, SERVER_BASE_IMAGE } from '../../src/testing/real-roles.ts'
import type { ProgramResult } from '../../src/testing/run-program.ts'
import { IMAGE_PREFIX } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

/** The last commit before the first message of v2026, and the version that its images get. */
const LAST_OF_V0 = 'cbd7c5c33b8375fe45ccd9173ad33c5693753975'
const VERSION_OF_V0 = '0.0.8'
const DONE = 'What to do next:'
const ROLES = ['miner', 'validator'] as const
/** How long the jobs run. They are still running when the new version has started. */
const USER_JOB_SECONDS = 120
const BATCH_JOB_SECONDS = 90
/** A batch's job counts as new for this long: an update takes less than what is left of it. */
const NEW_SECONDS = 15
/** The next batch starts as soon as the last one has ended. */
const BATCHES = ['BATCH_INTERVAL_SECONDS=20', 'BATCH_GATHER_SECONDS=3', 'BATCH_JOBS_AT_ONCE=1']
/** How long a job may take to start, and to end. The first one waits until the miner has announced its address. */
const RUNNING_MS = 900_000
const ENDED_MS = 900_000
const RETRY_MS = 1_000
const STORY_MS = 3_600_000

let roles: RealRoles
let slowEcho: string
let scripts: Record<InstalledRole, string>
beforeAll(async () => {
  roles = await RealRoles.start()
  await roles.addImagesOf(LAST_OF_V0, VERSION_OF_V0)
  slowEcho = await roles.addSlowEcho(BATCH_JOB_SECONDS)
  const [miner, validator] = [
    await roles.installScriptOf(LAST_OF_V0, 'miner'),
    await roles.installScriptOf(LAST_OF_V0, 'validator'),
  ]
  scripts = { miner, validator }
})
afterAll(() => roles?.[Symbol.asyncDispose]())

/** Installs a role of v0 by the install script of that commit. Installs its settings too when it runs again. */
async function installOfV0(role: InstalledRole, server: TestServer): Promise<void> {
  const { output } = await roles.owner.install(role, server, {
    hotkey: roles.hotkeyPath(role),
    script: scripts[role],
    args: [
      ...[...roles.networkArgs, '--image-prefix', IMAGE_PREFIX, '--version', VERSION_OF_V0],
      // The server has no GPU.
      ...(role === 'miner' ? ['--class', 'always_on.test'] : []),
    ],
  })
  expect(output).toContain(DONE)
}

async function installBothOfV0(server: TestServer): Promise<InstalledRoles> {
  const installed = new InstalledRoles(server)
  for (const role of ROLES) await installOfV0(role, server)
  await installed.addSettings('miner', [`BITTENSOR_MINER_ADDRESS=${await installed.address()}`, 'EXECUTOR_COUNT=3'])
  await installed.addSettings('validator', [
    ...['ALLOW_PRIVATE_MINERS=true', 'BENCHMARK=echo', `ECHO_JOB_IMAGE=${slowEcho}`, ...BATCHES],
    ...[`ECHO_REFERENCE_SECONDS=${BATCH_JOB_SECONDS}`, `ECHO_TIMEOUT_SECONDS=${4 * BATCH_JOB_SECONDS}`],
  ])
  await installed.recordStarts()
  await installOfV0('miner', server)
  await installOfV0('validator', server)
  return installed
}

/** Waits until a job of a batch, of a kind that the condition names, starts to run. Returns its uuid. */
async function startingBatchJob(installed: InstalledRoles, condition = 'true'): Promise<string> {
  const isNew = `running_at > now() - interval '${NEW_SECONDS} seconds' and ${condition}`
  let uuid = ''
  const find = async () => {
    uuid = await installed.sql(`select uuid from jobs where batch_id is not null and state = 'running' and ${isNew}`)
    return uuid
  }
  await expect.poll(find, { timeout: RUNNING_MS, interval: RETRY_MS }).toMatch(/^[\da-f-]{36}$/)
  return uuid
}

const isFinished = (installed: InstalledRoles, uuid: string) =>
  expect
    .poll(() => installed.sql(`select state, right_answer from jobs where uuid = '${uuid}'`), {
      timeout: ENDED_MS,
      interval: RETRY_MS,
    })
    .toBe('finished|t')

const runJob = (installed: InstalledRoles, command: string) => {
  const options = `--miner ${roles.hotkeyOf('miner')} --image ${SERVER_BASE_IMAGE} --class always_on.test --timeout 1800`
  return installed.commandOf('validator', `run-job ${options} -- ${command}`)
}

/** Starts a user's job, and resolves once it runs. `ended` resolves with its exit code and stdout. */
async function startUserJob(installed: InstalledRoles): Promise<{ ended: Promise<[number | null, string]> }> {
  const { server } = installed
  const command = runJob(installed, `sh -c "echo began; sleep ${USER_JOB_SECONDS}; echo ended"`)
  const job = server.run(`${command} >/root/job.out 2>/root/job.err`)
  await server.waitUntil("grep -q '^running' /root/job.err", RUNNING_MS)
  const endOf = async ({ code }: ProgramResult) =>
    [code, await server.sh('cat /root/job.out')] as [number | null, string]
  return { ended: job.then(endOf) }
}

/** Updates a role while a job of a batch runs; the miner while a user's job runs as well. Both jobs must succeed. */
async function updateWhileJobsRun(installed: InstalledRoles, role: InstalledRole): Promise<void> {
  const batchJob = await startingBatchJob(installed)
  // The command that gives a user's job ends with the validator's container.
  const userJob = role === 'miner' ? await startUserJob(installed) : undefined
  const updated = await installed.update(role, roles.version)
  expect(updated.output).toContain(`Starting ${role} ${roles.version} in place of ${VERSION_OF_V0}`)
  expect(updated.code, updated.output).toBe(0)
  await isFinished(installed, batchJob)
  if (userJob) expect(await userJob.ended).toEqual([0, 'began\nended'])
}

/** Returns the dialects that the page of an updated role shows of its peer: none while that is not connected. */
async function dialectsOnPage(installed: InstalledRoles, role: InstalledRole): Promise<string[]> {
  if (role === 'validator') {
    const { miners } = (await installed.status(role)) as { miners: { hotkey: string; dialect: string }[] }
    return miners.filter(({ hotkey }) => hotkey === roles.hotkeyOf('miner')).map(({ dialect }) => dialect)
  }
  const { validators } = (await installed.status(role)) as {
    validators: { listed: { hotkey: string; dialects: string[] }[] }
  }
  return validators.listed.find(({ hotkey }) => hotkey === roles.hotkeyOf('validator'))?.dialects ?? []
}

const showsDialect = (installed: InstalledRoles, role: InstalledRole, dialect: string) =>
  expect.poll(() => dialectsOnPage(installed, role), { timeout: RUNNING_MS, interval: RETRY_MS }).toEqual([dialect])

/** Whether all jobs ended well, and each was run once, by a validator and a miner that agree about all of them. */
async function isComplete(installed: InstalledRoles): Promise<void> {
  const ofBatches = 'from jobs where batch_id is not null and'
  expect(await installed.sql(`select * ${ofBatches} ended_at is not null and right_answer is not true`)).toBe('')
  const ran = async () => Number(await installed.sql(`select count(*) ${ofBatches} state in ('running', 'finished')`))
  // A job that is just starting is counted by one side alone.
  const difference = async () => (await installed.startsOf(slowEcho)) - (await ran())
  await expect.poll(difference, { timeout: RUNNING_MS, interval: RETRY_MS }).toBe(0)
  // The user's jobs: the long one, and the short one at the end.
  expect(await installed.startsOf(SERVER_BASE_IMAGE)).toBe(2)
  const ended = (await installed.minerJobStates()).filter(state => ['failed', 'broken', 'rejected'].includes(state))
  expect(ended).toEqual([])
}

test.each([
  ['miner', 'validator'],
  ['validator', 'miner'],
] as const)(
  'the %s first, then the %s: no job is lost, and the dialect changes from v0 to v2026',
  async (first, second) => {
    await using server = await TestServer.start({ kind: 'with-docker', registryFolder: roles.registry.imagesFolder })
    const installed = await installBothOfV0(server)

    await updateWhileJobsRun(installed, first)
    await showsDialect(installed, first, 'v0')
    await updateWhileJobsRun(installed, second)

    // The connection of a batch that began in v0 keeps its dialect.
    const job = await startingBatchJob(installed, "dialect = 'v2026'")
    for (const role of ROLES) await showsDialect(installed, role, 'v2026')
    await isFinished(installed, job)
    expect(await server.sh(`${runJob(installed, 'echo after')} 2>/dev/null`)).toBe('after')
    await isComplete(installed)
  },
  STORY_MS,
)
