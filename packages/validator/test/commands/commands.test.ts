/** Runs the commands as an operator does. */

import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { hotkeyFromUri, writeHotkeyFile } from '@horde/chain/wallet'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { HOST, MANIFEST, type Peer, play } from '@horde/testing/peers/scripted-miner'
import { freePort } from '@horde/testing/port'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCommand } from '../../src/commands/run-command.ts'
import { startProgram } from '../program.ts'
import { NETUID, startWorld, type World } from '../world.ts'

/** The message with which the next job of the first miner ends. */
let ending: { type: string; fields: object } = { type: '', fields: {} }
const answering = async (peer: Peer) => {
  peer.send(MANIFEST)
  await play.working(peer)
  peer.sendForJob(ending.type, ending.fields)
}
const declining = async (peer: Peer) => {
  await play.offered(peer)
  peer.sendForJob('V0DeclineJobRequest')
}

const finished = (stdout: string) => ({
  ...{
    type: 'V0JobFinishedRequest',
    fields: { docker_process_stdout: stdout, docker_process_stderr: 'a warning\n' },
  },
})

/** How long a command waits for the database server that is absent. */
const ABSENT_DATABASE_MS = 500

let world: World
beforeAll(async () => {
  world = await startWorld([answering, declining])
})
afterAll(() => world[Symbol.asyncDispose]())

/** Runs a command in a process of its own. */
async function runApart(args: string[], env: Record<string, string> = {}) {
  await using program = startProgram(args, { ...world.env, ...env })
  const code = await program.ended
  return { code, stdout: program.stdout, stderr: program.stderr }
}

/** Runs a command in this process, which is quicker. */
async function run(args: string[], env: Record<string, string> = {}) {
  const output = { stdout: [] as string[], stderr: [] as string[] }
  const deps = {
    environment: { ...world.env, ...env },
    print: (text: string) => void output.stdout.push(text),
    complain: (text: string) => void output.stderr.push(text),
    databaseConnectMs: ABSENT_DATABASE_MS,
  }
  const code = await runCommand(args, deps, new AbortController().signal)
  const linesOf = (texts: string[]) =>
    texts
      .join('')
      .split('\n')
      .filter(line => line !== '')
  return { code, stdout: linesOf(output.stdout), stderr: linesOf(output.stderr) }
}

describe('check', () => {
  /** Returns the lines about a subject. */
  const about = (subject: string, lines: readonly string[]) =>
    lines.filter(line => line.slice(5).startsWith(`${subject}: `))

  it('prints a line for each subject, and creates nothing', async () => {
    const { code, stdout, stderr } = await run(['check'])
    expect(stderr).toEqual([])
    expect(stdout.map(line => line.slice(5).replace(/: .*/s, ''))).toEqual([
      ...['settings', 'hotkey', 'chain', 'clock', 'weights version', 'registration', 'permit', 'stake', 'place'],
      ...['miners', 'benchmark', 'database', 'retention', 'disk', 'facilitator'],
    ])
    expect(stdout.filter(line => !line.startsWith('ok'))).toEqual([])
    expect(about('hotkey', stdout)).toEqual([`ok   hotkey: ${hotkeyFromUri('//Validator').ss58}`])
    expect(about('place', stdout)).toEqual([
      "ok   place: 1 of 1 validators by stake: at most 64 (the chain's MaxAllowedValidators), " +
        "of at least 0 TAO (the chain's StakeThreshold)",
    ])
    expect(about('miners', stdout)).toEqual(['ok   miners: 2 have announced an address'])
    expect(about('database', stdout)).toEqual([`ok   database: the first start makes it in ${world.folder}/database`])
    expect(code).toBe(0)
  })

  it('reports both version keys when the subnet requires a newer one', async () => {
    await world.devchain.setHyperparameters(NETUID, { WeightsVersionKey: 7 })
    const { code, stdout } = await run(['check'])
    await world.devchain.setHyperparameters(NETUID, { WeightsVersionKey: 0 })
    expect(about('weights version', stdout)).toEqual([
      expect.stringMatching(/^bad .* asks for 7, and WEIGHTS_VERSION_KEY is 2: .*To do: .*WEIGHTS_VERSION_KEY=7$/),
    ])
    expect(code).toBe(1)
  })

  it('prints the command that registers the hotkey, with the names of the settings', async () => {
    const directory = join(world.folder, 'wallets-unregistered')
    await writeHotkeyFile({ directory, name: 'my-wallet', hotkey: 'validator-7' }, '//Unregistered')
    const { code, stdout } = await run(['check'], {
      ...{ BITTENSOR_WALLET_DIRECTORY: directory, BITTENSOR_WALLET_NAME: 'my-wallet' },
      BITTENSOR_WALLET_HOTKEY_NAME: 'validator-7',
    })
    const keys = `--network ${world.devchain.url} --wallet my-wallet --wallet-hotkey validator-7`
    expect(about('registration', stdout)).toEqual([
      expect.stringContaining(`btcli subnets register --netuid ${NETUID} ${keys})`),
    ])
    expect(code).toBe(1)
  })

  it('lists all wrong settings at once', async () => {
    const { code, stdout } = await run(['check'], { BITTENSOR_NETUID: 'x', RETENTION_DAYS: '1' })
    expect(stdout).toEqual([
      expect.stringMatching(/^bad {2}settings: BITTENSOR_NETUID /),
      expect.stringMatching(/^bad {2}settings: RETENTION_DAYS /),
    ])
    expect(code).toBe(1)
  })

  it('reports a missing wallet, benchmark, facilitator and database', async () => {
    const { code, stdout } = await run(['check'], {
      ...{
        BITTENSOR_WALLET_NAME: 'other',
        BENCHMARK: '/no/such.mjs',
        FACILITATOR_URI: `ws://127.0.0.1:${await freePort()}/ws/v0/`,
      },
      DATABASE_URL: `postgres://me:hunter2@127.0.0.1:${await freePort()}/x`,
    })
    const bad = stdout.filter(line => line.startsWith('bad')).map(line => line.slice(5).replace(/: .*/s, ''))
    expect(bad).toEqual(['settings', 'benchmark', 'database', 'facilitator'])
    expect(stdout.join()).not.toContain('hunter2')
    expect(code).toBe(1)
  })

  it('dials the facilitator, and warns about a connection without TLS', async () => {
    const server = createServer()
    await using router = upgradeRouter(server, { log: silentLog })
    router.onUpgrade(/^\/ws\/v0\/$/, () => {})
    await new Promise<void>(resolve => server.listen(0, HOST, resolve))
    const { port } = server.address() as { port: number }
    const { code, stdout } = await run(['check'], { FACILITATOR_URI: `ws://${HOST}:${port}/ws/v0/` })
    expect(about('facilitator', stdout)).toEqual([
      expect.stringMatching(new RegExp(`^warn facilitator: ${HOST}:${port} answers, without TLS`)),
    ])
    expect(code).toBe(0)
    server.close()
  })
})

describe('run-job', () => {
  const states = (stderr: readonly string[]) =>
    stderr.filter(line => ['offered', 'accepted', 'ready', 'running', 'finished', 'failed'].includes(line))

  it('runs an image on the miner of a uid, with the output on stdout and the progress on stderr', async () => {
    ending = finished('hello\nworld\n')
    const { code, stdout, stderr } = await runApart([
      'run-job',
      '--miner',
      '1',
      '--image',
      'echo:v0',
      '--',
      '-a',
      'b c',
    ])
    expect({ code, stdout }, stderr.join('\n')).toEqual({ code: 0, stdout: ['hello', 'world'] })
    expect(stderr).toContain('a warning')
    expect(states(stderr)).toEqual(['offered', 'accepted', 'ready', 'running', 'finished'])
    expect(stderr[0]).toMatch(new RegExp(`^job [0-9a-f-]{36} on ${world.miners[0]?.hotkey.ss58} at ${HOST}:`))
    const [, offer, work] = (world.miners[0]?.received ?? []).map(({ message }) => message)
    expect(offer).toMatchObject({ base_docker_image_name: 'echo:v0', executor_class: 'always_on.test' })
    expect(work).toMatchObject({ docker_image_name: 'echo:v0', docker_run_cmd: ['-a', 'b c'] })
  })

  it('runs a script at a fixed address, with every option', async () => {
    ending = finished('')
    const script = join(world.folder, 'script.py')
    await writeFile(script, 'print(1)')
    const miner = `${world.miners[0]?.hotkey.ss58}@${world.miners[0]?.address}`
    const { code, stderr } = await run([
      ...['run-job', '--miner', miner, '--script', script, '--gpu', '--class', 'spin_up-4min.gpu-24gb'],
      ...['--input', 'http://in/x.zip', '--output', 'http://out/y.zip', '--timeout', '77'],
    ])
    expect(code, stderr.join('\n')).toBe(0)
    const [offer, work] = (world.miners[0]?.received ?? []).slice(-2).map(({ message }) => message)
    expect(offer).toMatchObject({
      executor_class: 'spin_up-4min.gpu-24gb',
      timeout_seconds: 77,
      volume_type: 'zip_url',
    })
    expect(work).toMatchObject({
      ...{ raw_script: 'print(1)', docker_run_options_preset: 'nvidia_all' },
      ...{ volume: { contents: 'http://in/x.zip' }, output_upload: { url: 'http://out/y.zip' } },
    })
  })

  it("exits with the job's own exit code", async () => {
    const texts = { docker_process_stdout: 'half', docker_process_stderr: '' }
    ending = { type: 'V0JobFailedRequest', fields: { ...texts, docker_process_exit_status: 7 } }
    const { code, stdout, stderr } = await run(['run-job', '--miner', '1', '--image', 'echo:v0'])
    expect({ code, stdout }).toEqual({ code: 7, stdout: ['half'] })
    expect(states(stderr).at(-1)).toBe('failed')
  })

  it.each([
    ['a miner that declines', '2', /^The miner had no free executor/],
    ['a miner that there is not', '9', /^9 is no neuron of subnet 3$/],
    ['a validator', '0', /has announced no address$/],
    ['an address that is none', `${hotkeyFromUri('//x').ss58}@nowhere`, /^nowhere is no address/],
    ['a hotkey that is none', 'x@127.0.0.1:1', /is no miner$/],
  ])('exits with 1 and prints the reason: %s', async (_, miner, why) => {
    const { code, stdout, stderr } = await run(['run-job', '--miner', miner, '--image', 'echo:v0'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: [] })
    expect(stderr).toContainEqual(expect.stringMatching(why))
  })
})

describe('batch', () => {
  const env = { BENCHMARK: 'echo' }

  it('of one miner is a trial, which uses no other miner, scores nothing and sets no weights', async () => {
    ending = finished('nonsense')
    const offers = () =>
      world.miners.map(({ received }) => received.filter(each => 'base_docker_image_name' in each.message).length)
    const [, before] = offers()
    const { code, stdout, stderr } = await run(['batch', '--miner', '1', '--json'], env)
    const result = JSON.parse(stdout[0] ?? '')
    expect(result, stderr.join('\n')).toMatchObject({
      ...{ weights: [], block: null, jobs: [{ uid: 1, state: 'finished', reason: 'wrong-answer', answer: false }] },
    })
    expect(result.jobs).toHaveLength(1)
    expect([code, offers()[1]]).toEqual([1, before])
    const plan = await run(['weights', '--dry-run', '--json'])
    expect(JSON.parse(plan.stdout[0] ?? '')).toMatchObject({ batches: [] })
  })

  it('reports an unknown miner', async () => {
    expect(await run(['batch', '--miner', '99'], env)).toMatchObject({
      code: 1,
      stderr: ['99 is no neuron of subnet 3'],
    })
  })
})

describe('weights', () => {
  it('prints in a dry run what would be set, and sets nothing', async () => {
    const { code, stdout, stderr } = await run(['weights', '--dry-run', '--json'])
    expect(code, stderr.join('\n')).toBe(0)
    expect(JSON.parse(stdout[0] ?? '')).toMatchObject({ basis: 'uniform', batches: [], weights: expect.any(Array) })
    const table = await run(['weights', '--dry-run'])
    expect(table.stdout.slice(0, 2)).toEqual([
      expect.stringMatching(/^Nothing is set\. The scores are the same for every neuron/),
      expect.stringMatching(/^uid +miner +score +weight +share +on the chain$/),
    ])
  })

  it('sets the weights that are due', async () => {
    const { code, stdout, stderr } = await run(['weights', '--json'])
    expect(code, stderr.join('\n')).toBe(0)
    expect(JSON.parse(stdout[0] ?? '')).toMatchObject({ outcome: 'set', basis: 'uniform', confirmed: true })
  })

  it('explains how a miner got its weight', async () => {
    const { code, stdout } = await run(['explain', '1'])
    expect([code, stdout[0]]).toEqual([0, `Miner ${world.miners[0]?.hotkey.ss58}, uid 1.`])
    expect(stdout).toContainEqual(expect.stringMatching(/^The chain holds \d+ for uid 1/))
    expect(await run(['explain', '77'])).toMatchObject({ code: 1, stderr: [expect.stringMatching(/^77 is no neuron/)] })
  })
})

it('reports that a running validator has the embedded database, and check continues', async () => {
  await using program = startProgram([], { ...world.env, LOG_LEVEL: 'info' })
  await program.line('validator started')
  const weights = await run(['weights'])
  expect(weights.code).toBe(1)
  expect(weights.stderr.at(-1)).toMatch(/in use/)
  const { code, stdout } = await run(['check'])
  expect(stdout).toContainEqual(expect.stringMatching(/^ok {3}database: in use by the running validator/))
  expect(code).toBe(0)
})
