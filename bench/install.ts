/**
 * Measures how long install_miner.sh and each of its steps take until the miner is healthy: on a fresh test server, on
 * one that has Docker, and a second time on both. The images come from a registry on the server's loopback. Prints a
 * table.
 */
import { loadavg } from 'node:os'
import { RealRoles, stepDurations } from '@horde/deploy/testing/real-roles'
import type { ProgramResult } from '@horde/deploy/testing/run-program'
import { IMAGE_PREFIX } from '@horde/deploy/testing/test-registry'
import { TestServer } from '@horde/deploy/testing/test-server'

interface Column {
  name: string
  seconds: number
  steps: ReturnType<typeof stepDurations>
  /** The machine's load average over the last minute. */
  load: number
}

await using roles = await RealRoles.start()

const columns: Column[] = []
for (const [kind, name] of [
  ['fresh', 'fresh'],
  ['with-docker', 'with Docker'],
] as const) {
  await using server = await TestServer.start({ kind, registryFolder: roles.registry.imagesFolder })
  // The server has no GPU.
  const args = [...roles.networkArgs, '--image-prefix', IMAGE_PREFIX, '--class', 'always_on.test']
  const options = { hotkey: roles.hotkeyPath('miner'), args }
  columns.push(column(name, await roles.owner.install('miner', server, options)))
  columns.push(column('again', await roles.owner.install('miner', server, options)))
}
process.stdout.write(`${table(columns)}\n`)

function column(name: string, ended: ProgramResult): Column {
  if (ended.code !== 0) throw new Error(ended.output)
  const steps = stepDurations(ended).map(({ step, seconds }) => `${step} ${seconds} s`)
  process.stderr.write(`${name}: ${ended.seconds.toFixed(0)} s (${steps.join(', ')})\n`)
  return { name, seconds: ended.seconds, steps: stepDurations(ended), load: loadavg()[0] ?? 0 }
}

/**
 * Leaves a cell empty where a run did not have that step. Before its first step the script connects and examines the
 * server.
 */
function table(all: readonly Column[]): string {
  const names = [...new Set(all.flatMap(({ steps }) => steps.map(({ step }) => step)))]
  const secondsOf = ({ steps }: Column, name: string) => steps.find(({ step }) => step === name)?.seconds
  const inSteps = ({ steps }: Column) => steps.reduce((sum, { seconds }) => sum + seconds, 0)
  return [
    row(
      'seconds',
      all.map(each => each.name),
    ),
    row(
      '---',
      all.map(() => '---'),
    ),
    row(
      'before the first step',
      all.map(each => (each.seconds - inSteps(each)).toFixed(0)),
    ),
    ...names.map(name =>
      row(
        name,
        all.map(each => secondsOf(each, name)?.toString() ?? ''),
      ),
    ),
    row(
      'total',
      all.map(each => each.seconds.toFixed(0)),
    ),
    row(
      'load of the machine',
      all.map(each => each.load.toFixed(1)),
    ),
  ].join('\n')
}

function row(name: string, cells: readonly string[]): string {
  return `| ${[name, ...cells].join(' | ')} |`
}
