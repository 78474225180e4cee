/** What a running miner shows its operator, and no peer. */
import { createHash, randomUUID } from 'node:crypto'
import type { Database } from '@horde/kit/database'
import {
  connectValidator,
  minerKey,
  secondValidatorKey,
  unknownKey,
  type ValidatorPeer,
  validatorKey,
} from '@horde/testing/peers/validator'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readMinerConfig } from '../../src/config.ts'
import type { MinerStatusJson } from '../../src/operator/status-json.ts'
import { ScriptedManager, startChain, startTestMiner, type TestMiner } from '../harness.ts'
import { offerOf } from '../messages.ts'
import { playJob } from '../play-job.ts'

const PAGES = ['/', '/health', '/metrics', '/status', '/status.json', '/jobs.json']
/** Escapes of terminals, of HTML and of its attributes, and a turn of the direction of what follows. */
const HOSTILE_IMAGE = `<img src=x onerror=alert(1)>"' onload='x\u001b[31m\u202egnp`
const SHOWN_IMAGE = `<img src=x onerror=alert(1)>"' onload='x\ufffd[31m\ufffdgnp`
const TAGS = new Set([
  ...['!doctype', 'html', 'head', 'meta', 'title', 'style', 'body', 'header', 'main', 'section', 'h1', 'h2', 'small'],
  ...['span', 'div', 'p', 'ul', 'li', 'dl', 'dt', 'dd', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'br', 'time'],
])
const ATTRIBUTES = new Set([
  '',
  'html',
  'lang',
  'charset',
  'name',
  'content',
  'http-equiv',
  'class',
  'scope',
  'data-of',
  'title',
  'datetime',
])

let stack: AsyncDisposableStack
let network: Awaited<ReturnType<typeof startChain>>
let miner: TestMiner
let validator: ValidatorPeer
const manager = new ScriptedManager()

beforeAll(async () => {
  stack = new AsyncDisposableStack()
  network = stack.use(await startChain())
  const { chain, url: chainUrl } = network
  const env = {
    EXECUTOR_CLASS: 'always_on.test',
    EXECUTOR_COUNT: '3',
    EXTRA_VALIDATORS: unknownKey().ss58,
    BANNED_VALIDATORS: secondValidatorKey().ss58,
    PORT_FOR_EXECUTORS: '0',
    LISTEN_HOST_FOR_EXECUTORS: '127.0.0.1',
    VALIDATORS_REFRESH_SECONDS: '1',
  }
  miner = stack.use(await startTestMiner({ chain, chainUrl, manager, env }))
  validator = stack.use(await connectValidator(miner))
})
afterAll(() => stack.disposeAsync())

const get = (path: string) => fetch(`http://127.0.0.1:${miner.adminPort}${path}`)
const status = async () => (await (await get('/status.json')).json()) as MinerStatusJson
const page = async () => (await get('/status')).text()

it('listens on loopback unless a setting says otherwise', () => {
  expect(readMinerConfig({ BITTENSOR_NETUID: '1', BITTENSOR_NETWORK: 'local' }).ADMIN_HOST).toBe('127.0.0.1')
})

describe('the ports for peers', () => {
  it.each(PAGES)('do not serve %s', async path => {
    expect((await fetch(`http://127.0.0.1:${miner.port}${path}`)).status).toBe(404)
    const { uuid } = await playJob(validator, manager, { until: 'exited' })
    expect(uuid).toBeDefined()
    expect((await get(path)).status, 'on the admin port it is there').toBe(200)
  })

  it('do not serve the pages to executors either', async () => {
    await validator.send(offerOf(randomUUID()))
    expect(await validator.next()).toMatchObject({ message_type: 'V0AcceptJobRequest' })
    const order = await manager.order()
    const executors = order.minerAddress.replace('ws:', 'http:')
    expect(executors).not.toContain(`:${miner.port}`)
    for (const path of PAGES) expect((await fetch(executors + path)).status).toBe(404)
    manager.exit(order.token)
    expect(await validator.next()).toMatchObject({ message_type: 'V0ExecutorFailedRequest' })
  })
})

it('shows the miner, its horde and its validators', async () => {
  const { uuid } = await playJob(validator, manager, { until: 'ready', image: HOSTILE_IMAGE })
  const answer = await status()
  expect(answer.miner).toMatchObject({ hotkey: minerKey().ss58, netuid: 1, uid: 2, registered: true, port: miner.port })
  expect(answer.chain).toMatchObject({ connected: true, block: expect.any(Number) })
  expect(answer.health).toMatchObject({ live: true, ready: true })
  expect(answer.horde).toEqual([
    {
      ...{ pool: 'always_on.test', executorClass: 'always_on.test', places: 3, taken: 1, leaving: 0, draining: false },
      ...{ closedBy: null, closedWhy: null },
      warm: { ready: 0, starting: 0 },
    },
  ])
  expect(answer.jobs.now).toEqual([
    {
      ...{ uuid, validator: validatorKey().ss58, executorClass: 'always_on.test', state: 'ready' },
      ...{ image: SHOWN_IMAGE, sinceSeconds: expect.any(Number), dialect: 'v0', executorDialect: 'v0' },
    },
  ])
  expect(answer.validators.listed).toMatchObject([
    {
      rank: 1,
      hotkey: validatorKey().ss58,
      uid: 0,
      stakeTao: 5000,
      permit: true,
      note: null,
      connections: 1,
      dialects: ['v0'],
    },
    { rank: null, hotkey: unknownKey().ss58, uid: null, note: 'extra', connections: 0 },
    { rank: null, hotkey: secondValidatorKey().ss58, uid: 1, note: 'banned' },
  ])
  await expect
    .poll(async () =>
      (await status()).watches.filter(watch => watch.lookedSecondsAgo !== null).map(({ watch }) => watch),
    )
    .toEqual(['registration', 'clock', 'database', 'disk', 'engine', 'gpus'])
  await expect
    .poll(async () => (await status()).miner.announced)
    .toEqual({ ip: '127.0.0.2', port: miner.port, block: expect.any(Number) })
  const how = 'set as BITTENSOR_MINER_ADDRESS'
  expect((await status()).miner.address).toEqual({ ip: '127.0.0.2', how, waitsForBlock: null, error: null })
})

it('lists the last ends with their reasons, the latest first', async () => {
  const { uuid: failed } = await playJob(validator, manager, { until: 'failed' })
  const { uuid: broken } = await playJob(validator, manager, { until: 'not prepared' })
  const { uuid: finished } = await playJob(validator, manager, { until: 'finished' })
  await validator.send(offerOf(randomUUID(), { executor_class: 'no<b>such' }))
  await validator.next()
  await expect
    .poll(async () => (await status()).ends.last?.map(({ uuid }) => uuid).slice(0, 3))
    .toEqual([finished, broken, failed])
  const { ends } = await status()
  expect(ends.last?.slice(0, 3)).toMatchObject([
    { state: 'finished', reason: null, why: null },
    { state: 'broken', reason: 'prepare-failed', why: 'The executor could not prepare the job.' },
    { state: 'failed', reason: 'exit-status' },
  ])
  expect(ends.sinceStart).toMatchObject({ finished: 1, failed: 1, rejected: 1 })
  await expect.poll(async () => (await status()).ends.last?.[0]?.delivered).toBe(true)
})

describe('the page', () => {
  it('escapes text that peers chose', async () => {
    const text = await page()
    expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;&quot;&#39; onload=&#39;x\ufffd[31m\ufffdgnp')
    for (const character of '\u0000\u001b\u202e') expect(text).not.toContain(character)
  })

  it('contains only the expected tags and attributes', async () => {
    const text = (await page()).replace(/<style>.*<\/style>/s, '')
    const tags = [...text.matchAll(/<\/?([^\s>]*)([^>]*)>/g)]
    const names = new Set(tags.map(([, name]) => name))
    expect([...names].filter(name => !TAGS.has(name ?? ''))).toEqual([])
    const attributes = tags.flatMap(([, , rest = '']) => rest.replace(/"[^"]*"/g, '').split(/[\s=]+/))
    expect([...new Set(attributes)].filter(name => !ATTRIBUTES.has(name))).toEqual([])
    expect(tags.length, 'text of peers begins no tag').toBe(text.split('<').length - 1)
  })

  it('has a policy that allows nothing but its own style', async () => {
    const response = await get('/status')
    const text = await response.text()
    const [, style = ''] = /<style>(.*)<\/style>/s.exec(text) ?? []
    const policy = response.headers.get('content-security-policy') ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      `style-src 'sha256-${hash}'`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ])
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(text).not.toMatch(/ style=|https?:\/\//)
  })

  it('reloads itself, and has styles for phones and dark mode', async () => {
    const text = await page()
    expect(text).toContain('<meta http-equiv="refresh" content="10">')
    expect(text).toContain('<meta name="viewport" content="width=device-width, initial-scale=1">')
    expect(text).toContain('color-scheme: light dark')
  })
})

it('shows no token and no output of a job on any page', async () => {
  const { uuid } = await playJob(validator, manager, { until: 'finished' })
  const texts = await Promise.all(PAGES.map(async path => (await get(path)).text()))
  const { rows } = await miner.db.execute<{ executor_token: string }>('select executor_token from jobs')
  const tokens = rows.map(({ executor_token }) => executor_token).filter(token => token !== '')
  expect(tokens.length).toBeGreaterThan(3)
  for (const text of texts) for (const secret of [...tokens, 'what it printed']) expect(text).not.toContain(secret)
  expect(texts.join('')).toContain(uuid)
})

describe('/jobs.json', () => {
  const list = async (query: string) =>
    (await get(`/jobs.json${query}`)).json() as Promise<{ jobs: { state: string }[] }>
  it('lists the last jobs, all or those of one state', async () => {
    expect((await list('?last=2')).jobs).toHaveLength(2)
    const { jobs } = await list('?state=rejected')
    expect(jobs).toMatchObject([{ state: 'rejected', executorClass: 'no<b>such' }])
  })

  it.each(['?last=0', '?last=1001', '?last=x', '?state=gone'])('refuses %s', async query => {
    expect((await get(`/jobs.json${query}`)).status).toBe(400)
  })
})

it('shows the rest while the database is away', async () => {
  let isAway = false
  const disturb = (db: Database): Database =>
    new Proxy(db, {
      get(target, key) {
        if (isAway && (key === 'select' || key === 'execute')) throw new Error('the database is away')
        return Reflect.get(target, key, target)
      },
    })
  const { chain, url: chainUrl } = network
  await using other = await startTestMiner({ chain, chainUrl, manager: new ScriptedManager(), disturb })
  isAway = true
  const ask = (path: string) => fetch(`http://127.0.0.1:${other.adminPort}${path}`)
  const answer = (await (await ask('/status.json')).json()) as MinerStatusJson
  expect(answer).toMatchObject({ ends: { last: null }, miner: { uid: 2 } })
  expect(await (await ask('/status')).text()).toContain('The database does not answer.')
  isAway = false
  expect(((await (await ask('/status.json')).json()) as MinerStatusJson).ends.last).toEqual([])
})
