/** Compares the install scripts with their parts, and checks that every shell that runs them can do so. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bash3Violations } from '../../src/bash-3-violations.ts'
import { INSTALLED_ROLES, installScript, installScriptPath } from '../../src/install-script.ts'
import { runProgram } from '../../src/testing/run-program.ts'

const PARTS = join(import.meta.dirname, '../../../../docker/install')
const partsOf = (side: string) => readdirSync(join(PARTS, side)).map(name => join(PARTS, side, name))

describe.each(INSTALLED_ROLES)('install_%s.sh', role => {
  test('matches its parts; after a change: node packages/deploy/src/print-install-scripts.ts', () => {
    expect(readFileSync(installScriptPath(role), 'utf8')).toBe(installScript(role))
  })

  test('passes shellcheck, with the code that it sends to the server', async () => {
    const ended = await runProgram('shellcheck', [installScriptPath(role), join(PARTS, 'server/compute-horde')])
    expect(ended.output).toBe('')
    const whole = [...partsOf('server').filter(path => path.endsWith('.sh'))]
    // The parts share variables and functions, which shellcheck cannot see in a single file.
    const parts = await runProgram('shellcheck', ['--shell=bash', '--exclude=SC2034,SC2154', ...whole])
    expect(parts.output).toBe('')
  })

  test('uses nothing that bash 3.2 lacks on the machine of the owner', () => {
    for (const path of partsOf('owner')) expect(bash3Violations(readFileSync(path, 'utf8')), path).toEqual([])
  })

  test('does nothing when a pipe delivers only a part of it', async () => {
    const script = readFileSync(installScriptPath(role), 'utf8')
    const cut = script.slice(0, script.lastIndexOf('main "$@"'))
    const ended = await runProgram('bash', ['-s', '-', '--help'], { input: cut })
    expect(ended).toMatchObject({ code: 0, output: '' })
  })
})
