/** The admin port of a running validator: health, status, page and metrics. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connectSubtensor } from '@horde/chain/subtensor'
import { hotkeyFromUri } from '@horde/chain/wallet'
import type { Database, OpenDatabase } from '@horde/kit/database'
import { silentLog } from '@horde/kit/log'
import { metricsTable } from '@horde/kit/metrics/definitions'
import { systemClock as clock } from '@horde/kit/time'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ScheduleState } from '../../src/batches/batch-schedule.ts'
import { readValidatorConfig } from '../../src/config.ts'
import { batches, jobs, weightSettings } from '../../src/db/schema.ts'
import { METRICS } from '../../src/operator/metrics/definitions.ts'
import { openOperator } from '../../src/operator/open-operator.ts'
import type { ValidatorStatusJson } from '../../src/operator/status-json.ts'
import { openTestDatabase } from '../db/databases.ts'
import { NETUID, startWorld, type World } from '../world.ts'

const HOSTILE = `<img src=x onerror=alert(1)>"' onload='x\u001b[31m\u202egnp`
const SHOWN = `<img src=x onerror=alert(1)>"' onload='x\ufffd[31m\ufffdgnp`
const OWN = hotkeyFromUri('//Validator').ss58
const TAGS = new Set([
  ...['!doctype', 'html', 'head', 'meta', 'title', 'style', 'body', 'header', 'main', 'section', 'h1', 'h2', 'small'],
  ...['span', 'div', 'p', 'ul', 'li', 'dl', 'dt', 'dd', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'br', 'time'],
  ...['svg', 'g', 'rect', 'line', 'polyline', 'circle', 'text'],
])

let stack: AsyncDisposableStack
let world: World
let database: OpenDatabase
let port: number | undefined
let turn: ScheduleState | undefined
let isAway = false

const disturbed = (db: Database): Database =>
  new Proxy(db, {
    get(target, key) {
      if (isAway && ['select', 'execute'].includes(String(key))) throw new Error('the database is away')
      return Reflect.get(target, key, target)
    },
  })

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  world = stack.use(await startWorld([async () => {}]))
  database = stack.use(await openTestDatabase())
  await store(database.db)
  const chain = stack.use(await connectSubtensor({ endpoints: [world.devchain.url] }))
  const config = readValidatorConfig({ ...world.env, ADMIN_PORT: '0' })
  const failing = {
    running: false,
    runs: 3,
    failuresInARow: 1,
    endedAt: Date.now(),
    error: new Error(`no\nparams: ${HOSTILE}`),
  }
  const loop = { name: 'weights', state: () => failing }
  const shown = {
    loops: [loop],
    turn: () => turn,
    dialects: { list: () => [{ hotkey: '5Miner', address: HOSTILE, dialect: 'v2026' as const }] },
    facilitator: { state: () => ({ connected: true, dialect: 'v0' as const, running: 1, waiting: 2 }) },
  }
  const deps = {
    config,
    chain,
    hotkey: hotkeyFromUri('//Validator'),
    db: disturbed(database.db),
    clock,
    log: silentLog,
  }
  port = await openOperator({ ...deps, ...shown }, new AbortController().signal, stack)
})
afterAll(() => stack.disposeAsync())

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000)

async function store(db: Database) {
  const batch = { netuid: NETUID, benchmark: 'sha256' }
  const [first, second] = await db
    .insert(batches)
    .values([
      {
        ...batch,
        startedAt: minutesAgo(240),
        deadline: minutesAgo(230),
        closedAt: minutesAgo(235),
        scoredAt: minutesAgo(234),
      },
      { ...batch, startedAt: minutesAgo(5), deadline: minutesAgo(-5) },
    ])
    .returning({ id: batches.id })
  const job = (fields: Partial<typeof jobs.$inferInsert>) => ({
    ...{ uuid: randomUUID(), minerHotkey: '5Miner', minerUid: 1, minerAddress: 'x:1', createdAt: minutesAgo(240) },
    ...({ state: 'finished', ...fields } as const),
  })
  await db.insert(jobs).values([
    job({ batchId: first?.id ?? 0, score: 1.5, rightAnswer: true, endedAt: minutesAgo(236) }),
    job({ batchId: first?.id ?? 0, state: 'broken', reason: 'no-connection', score: 0, endedAt: minutesAgo(236) }),
    job({ batchId: second?.id ?? 0, state: 'running' }),
    job({
      state: 'broken',
      reason: 'connection-lost',
      image: HOSTILE,
      source: 'facilitator',
      endedAt: minutesAgo(1),
    }),
  ])
  const setting = {
    netuid: NETUID,
    hotkey: OWN,
    basis: 'batches',
    batchIds: [],
    versionKey: 2n,
    plannedAt: minutesAgo(234),
  }
  const scores = [{ uid: 1, hotkey: '5Miner', score: 1.5 }]
  await db.insert(weightSettings).values([
    {
      ...setting,
      scores,
      uids: [1, 2],
      weights: [65_535, 21_845],
      state: 'included',
      block: 42,
      endedAt: minutesAgo(233),
    },
    {
      ...setting,
      scores,
      uids: [1],
      weights: [65_535],
      state: 'refused',
      refusal: 'NoValidatorPermit',
      endedAt: minutesAgo(3),
    },
  ])
}

const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
const status = async () => (await (await get('/status.json')).json()) as ValidatorStatusJson
const page = async () => (await get('/status')).text()
const sample = async (name: string) => {
  const line = (await (await get('/metrics')).text()).split('\n').find(each => each.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length))
}

it('shows which dialect each miner speaks', async () => {
  expect((await status()).miners).toEqual([{ hotkey: '5Miner', address: SHOWN, dialect: 'v2026' }])
  expect(await page()).toContain('<h2>Dialects of miners</h2>')
  const metrics = await (await get('/metrics')).text()
  expect(metrics).toContain('validator_miners{dialect="v2026"} 1')
  expect(metrics).toContain('validator_miners{dialect="v0"} 0')
})

it('shows the hotkey of this validator, and what the chain allows it', async () => {
  await expect
    .poll(async () => (await status()).validator.standing)
    .toEqual({
      ...{ registered: true, uid: 0, permit: true, stakeTao: 5_000, rank: 1, validators: 1 },
    })
  const answer = await status()
  expect(answer.validator).toMatchObject({ hotkey: OWN, netuid: NETUID })
  expect(answer.chain).toMatchObject({ connected: true, block: expect.any(Number) })
  expect(answer.validators.listed).toMatchObject([{ rank: 1, hotkey: OWN, stakeTao: 5_000 }])
  await expect
    .poll(async () => (await status()).watches.filter(each => each.lookedSecondsAgo !== null).map(({ watch }) => watch))
    .toEqual(['registration', 'standing', 'clock', 'database', 'disk'])
  expect((await (await get('/health')).json()) as object).toMatchObject({
    ...{ live: true, ready: true, reasons: [] },
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  })
})

it('lists batches, scores, weights and jobs, the latest first', async () => {
  const { history, facilitator, troubles } = await status()
  expect(history?.batches).toMatchObject([
    { closedAt: null, jobs: { running: 1 } },
    { jobs: { finished: 1, broken: 1 }, rightAnswers: 1, scoredAt: expect.any(String) },
  ])
  expect(history?.scores).toEqual([{ hotkey: '5Miner', uid: 1, total: 1.5, byBatch: [0, 1.5] }])
  expect(history?.settings).toMatchObject([
    { state: 'refused', refusal: 'NoValidatorPermit' },
    {
      block: 42,
      entries: [
        { uid: 1, hotkey: '5Miner', share: 0.75 },
        { uid: 2, hotkey: null, share: 0.25 },
      ],
    },
  ])
  expect(history?.organicJobs).toMatchObject([{ image: SHOWN, state: 'broken', source: 'facilitator' }])
  expect(facilitator).toEqual({ connected: true, dialect: 'v0', running: 1, waiting: 2 })
  expect(troubles.map(({ where, what }) => [where.replace(/[0-9a-f-]{36}/, '…'), what])).toEqual([
    ['weights', 'no'],
    ['weights', 'NoValidatorPermit'],
    ['job …', 'The connection to the peer was lost and did not come back in time.'],
  ])
})

it('shows how weights are sent to the chain, and why', async () => {
  const why = 'the subnet has no commit-reveal'
  await expect.poll(async () => (await status()).weightsBy).toEqual({ method: 'set', why })
  expect(await page()).toContain(why)
})

it('shows when the next batch starts', async () => {
  expect((await status()).nextBatch).toMatchObject({ at: null, why: expect.stringMatching(/^not known yet/) })
  const startMs = Math.ceil(Date.now() / 7_200_000) * 7_200_000
  turn = { rank: 0, validators: 2, turn: { startMs, endMs: startMs + 3_600_000 } }
  expect((await status()).nextBatch).toMatchObject({
    ...{ at: new Date(startMs).toISOString(), inSeconds: expect.any(Number), window: { parts: 2, own: 0 } },
  })
  expect(await page()).toContain('part 1 of 2 of the window, 1 of 2 validators')
})

describe('the page', () => {
  it('escapes text from peers, and loads nothing from other hosts', async () => {
    const text = await page()
    expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39; onload=&#39;x\ufffd[31m\ufffdgnp')
    for (const character of '\u0000\u001b\u202e') expect(text).not.toContain(character)
    const tags = [...text.replace(/<style>.*<\/style>/s, '').matchAll(/<\/?([^\s>]*)[^>]*>/g)]
    expect([...new Set(tags.map(([, name]) => name ?? ''))].filter(name => !TAGS.has(name))).toEqual([])
    expect(text.match(/<svg /g)).toHaveLength(4)
    expect(text).not.toMatch(/ style=| href=| src="|https?:\/\/|NaN|undefined/)
  })

  it('forbids scripts and everything but its own style', async () => {
    const policy = (await get('/status')).headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'/)
  })
})

describe('metrics', () => {
  it('have the same names in the README, the definitions and the registry', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
    expect(readme).toContain(metricsTable(METRICS))
    const text = await (await get('/metrics')).text()
    const types = [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type])
    const own = types.filter(([name]) => !/^validator_(process|nodejs)_/.test(name ?? ''))
    expect(Object.fromEntries(own)).toEqual(
      Object.fromEntries(Object.entries(METRICS).map(([name, { type }]) => [name, type])),
    )
  })

  it('have the values of the chain, the database and the watches', async () => {
    expect(await sample('validator_jobs_open{kind="synthetic",state="running"}')).toBe(1)
    expect(await sample('validator_batches{state="scored"}')).toBe(1)
    expect(await sample('validator_weight_settings{state="refused",method="set"}')).toBe(1)
    expect(await sample('validator_weights_block')).toBe(42)
    expect(await sample('validator_last_batch_age_seconds')).toBeGreaterThan(290)
    expect(await sample('validator_stake_tao')).toBe(5_000)
    expect(await sample('validator_rank')).toBe(1)
    expect(await sample('validator_facilitator_updates_waiting')).toBe(2)
    expect(await sample('validator_loop_failures{loop="weights"}')).toBe(1)
    expect(await sample('validator_ready')).toBe(1)
    const uuid = randomUUID()
    const ended = { minerHotkey: 'x', minerUid: 1, minerAddress: 'x', createdAt: new Date(), endedAt: new Date() }
    await database.db.insert(jobs).values({ uuid, ...ended, state: 'failed', reason: 'exit-status' })
    const name =
      'validator_jobs_total{kind="organic",executor_class="always_on.gpu-24gb",end="failed",reason="exit-status"}'
    expect(await sample(name)).toBe(1)
  })
})

it('still shows the rest while the database is away', async () => {
  isAway = true
  expect(await status()).toMatchObject({ history: null, validator: { standing: { uid: 0 } } })
  expect(await page()).toContain('The database does not answer.')
  expect(await sample('validator_rank')).toBe(1)
  isAway = false
  expect((await status()).history?.batches).toHaveLength(2)
})
