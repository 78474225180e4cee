/** Updates both roles from the images of the previous commit, while jobs run and while a batch is open. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { InstalledRoles } from '../../src/testing/installed-roles.ts'
import { PREVIOUS_VERSION, RealRoles, SERVER_BASE_IMAGE } from '../../src/testing/real-roles.ts'
import { IMAGE_PREFIX } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const DONE = 'What to do next:'
/** How long a job runs. It is still running when the new version has started. */
const JOB_SECONDS = 120
/** How long the miner may take to announce its address, and a job to start and to end. */
const ANNOUNCED_MS = 300_000
const RUNNING_MS = 300_000
const ENDED_MS = 900_000
const RETRY_MS = 1_000
const JOBS = [1, 2]
/** How long a job of the slow echo image takes. A batch of two jobs, one after the other, stays open for twice as long. */
const SLOW_ECHO_SECONDS = 90

let roles: RealRoles
let server: TestServer
let installed: InstalledRoles
let slowEcho: string
beforeAll(async () => {
  roles = await RealRoles.start()
  await roles.addPreviousImages()
  slowEcho = await roles.addSlowEcho(SLOW_ECHO_SECONDS)
  server = await TestServer.start({ kind: 'with-docker', registryFolder: roles.registry.imagesFolder })
  installed = new InstalledRoles(server)
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await roles?.[Symbol.asyncDispose]()
})

const install = (role: 'miner' | 'validator') =>
  roles.owner.install(role, server, {
    hotkey: roles.hotkeyPath(role),
    args: [
      ...[...roles.networkArgs, '--image-prefix', IMAGE_PREFIX, '--version', PREVIOUS_VERSION],
      // The server has no GPU.
      ...(role === 'miner' ? ['--class', 'always_on.test'] : []),
    ],
  })
test(
  'jobs that run during an update of the miner succeed, and each runs once',
  async () => {
    for (const role of ['miner', 'validator'] as const) expect((await install(role)).output).toContain(DONE)
    const address = await installed.address()
    await installed.addSettings('miner', [`BITTENSOR_MINER_ADDRESS=${address}`, 'EXECUTOR_COUNT=2'])
    await installed.addSettings('validator', ['ALLOW_PRIVATE_MINERS=true', 'BENCHMARK=echo'])
    for (const role of ['miner', 'validator'] as const) expect((await install(role)).output).toContain(DONE)
    await server.waitUntil('compute-horde miner logs | grep -q "address announced on the chain"', ANNOUNCED_MS)

    const options = `--image ${SERVER_BASE_IMAGE} --class always_on.test --timeout 1800`
    const runJob = `run-job --miner ${roles.hotkeyOf('miner')} ${options}`
    const script = `sh -c "echo began; sleep ${JOB_SECONDS}; echo ended"`
    await installed.recordStarts()
    const jobs = JOBS.map(job =>
      server.run(
        `${installed.commandOf('validator', `${runJob} -- ${script}`)} >/root/job-${job}.out 2>/root/job-${job}.err`,
      ),
    )
    for (const job of JOBS) await server.waitUntil(`grep -q '^running' /root/job-${job}.err`, RUNNING_MS)

    const updated = await installed.update('miner', roles.version)
    expect(updated.output).toContain(`Starting miner ${roles.version} in place of ${PREVIOUS_VERSION}`)
    expect(updated.code, updated.output).toBe(0)
    for (const [i, job] of jobs.entries()) {
      const { code } = await job
      expect([code, await server.sh(`cat /root/job-${JOBS[i]}.out`)]).toEqual([0, 'began\nended'])
    }
    expect(await installed.minerJobStates()).toEqual(['finished', 'finished'])
    expect(await installed.startsOf(SERVER_BASE_IMAGE)).toBe(JOBS.length)
    // The new version accepts jobs.
    const after = await server.sh(`${installed.commandOf('validator', `${runJob} -- echo after`)} 2>/dev/null`)
    expect(after).toBe('after')
  },
  ANNOUNCED_MS + 2 * RUNNING_MS + ENDED_MS,
)

test(
  'a validator resumes a batch that was open during its update, and keeps its scores',
  async () => {
    const settings = [
      ...['BATCH_AT_START=true', 'BATCH_JOBS_AT_ONCE=1', `ECHO_JOB_IMAGE=${slowEcho}`],
      ...[`ECHO_REFERENCE_SECONDS=${SLOW_ECHO_SECONDS}`, `ECHO_TIMEOUT_SECONDS=${4 * SLOW_ECHO_SECONDS}`],
    ]
    await installed.addSettings('validator', settings)
    expect((await install('validator')).output).toContain(DONE)
    const batch = "(select max(id) from batches where benchmark = 'echo')"
    const jobs = async (state: string) =>
      await installed.sql(`select uuid, right_answer, score from jobs where batch_id = ${batch} and state = '${state}'`)
    await expect.poll(() => jobs('finished'), { timeout: ENDED_MS, interval: RETRY_MS }).not.toBe('')
    await expect.poll(() => jobs('running'), { timeout: RUNNING_MS, interval: RETRY_MS }).not.toBe('')
    const [ended, open, id] = [await jobs('finished'), await jobs('running'), await installed.sql(`select ${batch}`)]
    expect(ended).toMatch(/^[0-9a-f-]{36}\|t\|0\.\d+$/)
    // Keeps the new version from starting a batch of its own.
    await server.sh("sed -i '/^BATCH_AT_START=/d' /opt/compute-horde/validator/.env")

    const updated = await installed.update('validator', roles.version)
    expect(updated.output).toContain(`Starting validator ${roles.version} in place of ${PREVIOUS_VERSION}`)
    expect(updated.code, updated.output).toBe(0)
    const closed = () => installed.sql(`select closed_at is not null from batches where id = ${id}`)
    await expect.poll(closed, { timeout: ENDED_MS, interval: RETRY_MS }).toBe('t')
    const rows = await installed.sql(
      `select uuid, right_answer, score from jobs where batch_id = ${id} order by created_at`,
    )
    const [first, second = '', ...more] = rows.split('\n')
    expect([first, more]).toEqual([ended, []])
    expect(second).toMatch(/^[0-9a-f-]{36}\|t\|0\.\d+$/)
    expect(second.split('|')[0]).toBe(open.split('|')[0])
    expect(await installed.sql(`select state from jobs where batch_id = ${id}`)).toBe('finished\nfinished')
    expect(await installed.startsOf(slowEcho)).toBe(2)
    expect(await server.sh('compute-horde validator logs')).toContain('batch resumed')
  },
  ENDED_MS + RUNNING_MS + ENDED_MS,
)
