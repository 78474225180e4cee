/** A miner with real images is updated from the commit before, while jobs run on it. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RealRoles, SERVER_BASE_IMAGE, VERSION_BEFORE } from '../../src/testing/real-roles.ts'
import { IMAGE_PREFIX } from '../../src/testing/test-registry.ts'
import { TestServer } from '../../src/testing/test-server.ts'

const DONE = 'What to do next:'
/** How long a job works, in seconds: it is still at it when the new version has started. */
const JOB_SECONDS = 120
/** How long the miner's address may take to be on the chain, and a job to run and to end, in milliseconds. */
const ANNOUNCED_MS = 300_000
const RUNNING_MS = 300_000
const ENDED_MS = 900_000
const JOBS = [1, 2]

let roles: RealRoles
let server: TestServer
beforeAll(async () => {
  roles = await RealRoles.start()
  await roles.addImagesOfBefore()
  server = await TestServer.start({ kind: 'with-docker', registry: roles.registry.images })
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await roles?.[Symbol.asyncDispose]()
})

const install = (role: 'miner' | 'validator') =>
  roles.owner.install(role, server, {
    hotkey: roles.hotkeyPath(role),
    args: [...roles.network, '--image-prefix', IMAGE_PREFIX, '--version', VERSION_BEFORE],
  })
const add = (role: string, settings: string) => server.sh(`printf '${settings}' >>/opt/compute-horde/${role}/.env`)
const inValidator = (command: string) =>
  `docker exec compute-horde-validator_validator_1 node packages/validator/src/main.ts ${command}`
const minerJobs = async (): Promise<{ state: string }[]> =>
  JSON.parse(await server.sh('docker exec compute-horde-miner_miner_1 node packages/miner/src/main.ts jobs --json'))
    .jobs

test(
  'jobs that run during an update of the miner end well, and each has run once',
  async () => {
    for (const role of ['miner', 'validator'] as const) expect((await install(role)).output).toContain(DONE)
    const address = await server.sh("hostname -I | awk '{ print $1 }'")
    await add('miner', `BITTENSOR_MINER_ADDRESS=${address}\\nEXECUTOR_CLASS=always_on.test\\nEXECUTOR_COUNT=2\\n`)
    await add('validator', 'ALLOW_PRIVATE_MINERS=true\\nBENCHMARK=echo\\n')
    for (const role of ['miner', 'validator'] as const) expect((await install(role)).output).toContain(DONE)
    await server.until('compute-horde miner logs | grep -q "address announced on the chain"', ANNOUNCED_MS)

    const runJob = `run-job --miner ${roles.hotkeyOf('miner')} --image ${SERVER_BASE_IMAGE} --class always_on.test --timeout 1800`
    const script = `sh -c "echo began; sleep ${JOB_SECONDS}; echo ended"`
    // The engine remembers few events: they are written down from here on.
    const events = `docker events --filter type=container --filter event=start --format '{{.From}}'`
    await server.sh(`(setsid ${events} >/root/started 2>&1 </dev/null &)`)
    const jobs = JOBS.map(job =>
      server.try(`${inValidator(`${runJob} -- ${script}`)} >/root/job-${job}.out 2>/root/job-${job}.err`),
    )
    for (const job of JOBS) await server.until(`grep -q '^running' /root/job-${job}.err`, RUNNING_MS)

    const updated = await server.try(`compute-horde miner update ${roles.version}`)
    expect(updated.output).toContain(`Starting miner ${roles.version} in place of ${VERSION_BEFORE}`)
    expect(updated.code, updated.output).toBe(0)
    for (const [i, job] of jobs.entries()) {
      const { code } = await job
      expect([code, await server.sh(`cat /root/job-${JOBS[i]}.out`)]).toEqual([0, 'began\nended'])
    }
    expect((await minerJobs()).map(({ state }) => state)).toEqual(['finished', 'finished'])
    expect(await server.sh(`grep -cF '${SERVER_BASE_IMAGE}' /root/started`)).toBe(String(JOBS.length))
    // The new version takes jobs.
    const after = await server.sh(`${inValidator(`${runJob} -- echo after`)} 2>/dev/null`)
    expect(after).toBe('after')
  },
  ANNOUNCED_MS + 2 * RUNNING_MS + ENDED_MS,
)
