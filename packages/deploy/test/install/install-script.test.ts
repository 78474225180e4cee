/** The install scripts as files: printed from their parts, and readable by every shell that runs them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { missingInBash3 } from '../../src/bash-3.ts'
import { INSTALLED_ROLES, installScript, installScriptPath } from '../../src/install-script.ts'
import { run } from '../../src/testing/run-program.ts'

const PARTS = join(import.meta.dirname, '../../../../docker/install')
const partsOf = (side: string) => readdirSync(join(PARTS, side)).map(name => join(PARTS, side, name))

describe.each(INSTALLED_ROLES)('install_%s.sh', role => {
  test('is printed from its parts: node packages/deploy/src/print-install-scripts.ts', () => {
    expect(readFileSync(installScriptPath(role), 'utf8')).toBe(installScript(role))
  })

  test('is clean in shellcheck, with what it sends to the server', async () => {
    const ended = await run('shellcheck', [installScriptPath(role), join(PARTS, 'server/compute-horde')])
    expect(ended.output).toBe('')
    const whole = [...partsOf('server').filter(path => path.endsWith('.sh'))]
    // Parts share variables and functions, which shellcheck cannot know of one file.
    const parts = await run('shellcheck', ['--shell=bash', '--exclude=SC2034,SC2154', ...whole])
    expect(parts.output).toBe('')
  })

  test('uses nothing that bash 3.2 lacks where it runs on the owner machine', () => {
    for (const path of partsOf('owner')) expect(missingInBash3(readFileSync(path, 'utf8')), path).toEqual([])
  })

  test('does nothing when it was cut short on its way through a pipe', async () => {
    const script = readFileSync(installScriptPath(role), 'utf8')
    const cut = script.slice(0, script.lastIndexOf('main "$@"'))
    const ended = await run('bash', ['-s', '-', '--help'], { input: cut })
    expect(ended).toMatchObject({ code: 0, output: '' })
  })
})
