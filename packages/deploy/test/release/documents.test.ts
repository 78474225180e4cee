/** Compares the documents for operators with the code. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { composeSettings } from '../../src/compose-settings.ts'
import { COMPOSE_VARIABLES } from '../../src/env-example.ts'
import { checkLines, root } from './check-lines.ts'
import { btcli9Commands, DOCUMENTS, ROLES, type Role, shellCommands, textOf } from './documents.ts'

/** The sources of the commands that print the lines of a role's `check`. */
const PROGRAMS: Record<Role, readonly string[]> = {
  validator: ['packages/validator/src/commands/check.ts'],
  miner: ['packages/miner/src/commands/check.ts', 'packages/executor/src/check.ts'],
}
const FILES = [...ROLES.map(role => DOCUMENTS[role].file), 'docs/upgrading.md', 'README.md', 'CHANGELOG.md']

describe.each(ROLES)('the document for a %s', role => {
  const { file, hotkey } = DOCUMENTS[role]
  const lines = PROGRAMS[role].flatMap(checkLines)
  const text = textOf(file)

  it('has a remedy for exactly the lines of check that are bad or a warning', () => {
    const inCode = lines.filter(({ verdict }) => verdict !== 'ok')
    const patterns = new Set(inCode.map(({ verdict, subject, found }) => `${verdict} ${subject}: ${found}`))
    const rows = [...text.matchAll(/^\| `((?:bad|warn) [^`]*)` \| \S.* \|$/gm)].map(([, line = '']) => line)
    expect([...new Set(rows)].sort()).toEqual([...patterns].sort())
    expect(patterns.size).toBeGreaterThan(20)
  })

  it('lists every subject whose line can be ok', () => {
    const inCode = new Set(lines.filter(({ verdict }) => verdict === 'ok').map(({ subject }) => subject))
    const [, section = ''] = /### Lines with `ok`\n\n(.*?)(?:\.\n|\. [A-Z])/s.exec(text) ?? []
    expect([...section.matchAll(/`([^`]+)`/g)].map(([, name]) => name).sort()).toEqual([...inCode].sort())
  })

  it('passes network, wallet and hotkey to every btcli command', () => {
    const commands = shellCommands(file, 'btcli')
    const named = `--network finney --wallet my-wallet --wallet-hotkey ${hotkey}`
    expect(commands.filter(command => !command.endsWith(` ${named}`))).toEqual([])
    expect(commands.length).toBeGreaterThan(5)
    const commands9 = btcli9Commands(file)
    expect(commands9.filter(command => !command.endsWith(` --wallet-name my-wallet --hotkey ${hotkey}`))).toEqual([])
    const local = /^btcli wallet (create|new-hotkey) /
    expect(commands9.filter(command => !local.test(command) && !command.includes(' --network finney '))).toEqual([])
    expect(commands9.length).toBeGreaterThan(4)
  })

  it('lists the equivalent in btcli 9 of every command of btcli 11, or says that there is none', () => {
    const rows = [...text.matchAll(/^\| `(btcli \w+ [\w-]+)[^|]*\| (?:`btcli|none:)/gm)].map(([, command]) => command)
    const commands = shellCommands(file, 'btcli').map(command => command.split(' ').slice(0, 3).join(' '))
    // `wallet show` needs no equivalent: it prints what `wallet create` printed.
    expect(rows.sort()).toEqual([...new Set(commands)].filter(command => command !== 'btcli wallet show').sort())
  })
})

it('the documents name only settings that exist', () => {
  // The packages' READMEs list all settings; other tests compare those tables with the code.
  const tables = ['validator', 'miner', 'executor'].map(name => textOf(`packages/${name}/README.md`)).join('\n')
  const ofServices = [...tables.matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, name = '']) => name)
  // Docker's own client reads DOCKER_HOST.
  const ofCompose = [...COMPOSE_VARIABLES, ...Object.keys(composeSettings('miner'))]
  const known = new Set([...ofServices, ...ofCompose, 'DOCKER_HOST'])
  const names = FILES.flatMap(file => [...textOf(file).matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)])
  expect(names.map(([, name = '']) => name).filter(name => !known.has(name))).toEqual([])
  expect(names.length).toBeGreaterThan(20)
})

it('the documents link only to files that exist', () => {
  const links = FILES.flatMap(file =>
    [...textOf(file).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link = '']) => join(dirname(file), link)),
  )
  expect(links.filter(link => !existsSync(join(root, link)))).toEqual([])
  expect(links.length).toBeGreaterThan(10)
})

it('the documents name only commands that compute-horde has', () => {
  const [, usage = ''] = /^usage\(\) \{\n(.*?)^END$/ms.exec(textOf('docker/install/server/compute-horde')) ?? []
  const known = [...usage.matchAll(/^ {2}([a-z]+) /gm)].map(([, command]) => command)
  expect(known).toContain('rollback')
  const named = FILES.flatMap(file => [...textOf(file).matchAll(/compute-horde (?:validator|miner) ([a-z-]+)/g)])
  expect(named.map(([, command = '']) => command).filter(command => !known.includes(command))).toEqual([])
  expect(named.length).toBeGreaterThan(10)
})

it('the documents name only options that the install scripts or compute-horde have', () => {
  const scripts = ['install_validator.sh', 'install_miner.sh', 'docker/install/server/compute-horde']
    .map(textOf)
    .join('\n')
  const known = new Set([...scripts.matchAll(/^ +(--[a-z-]+) /gm)].map(([, option]) => option))
  const named = FILES.flatMap(file =>
    [...textOf(file).matchAll(/`(--[a-z-]+)(?: [^`]*)?`/g)].map(([, option]) => option),
  )
  expect(named.filter(option => !known.has(option))).toEqual([])
  expect(named.length).toBeGreaterThan(5)
})
