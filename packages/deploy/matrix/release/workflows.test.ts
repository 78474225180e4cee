/** Checks the GitHub workflows with actionlint and shellcheck, and compares them with what they start. */
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../../..', import.meta.url))
const ACTIONLINT = 'github.com/rhysd/actionlint/cmd/actionlint@v1.7.12'
/** Where actionlint is installed. Git ignores the folder, and a second run finds the program there. */
const TOOLS = join(root, '.tools')

let copy: string

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), 'workflows-'))
  await run('go', ['install', ACTIONLINT], { env: { ...process.env, GOBIN: TOOLS } }).catch((cause: Error) => {
    throw new Error(`actionlint could not be built: is Go 1.25 or later on PATH (https://go.dev/dl)? ${cause.message}`)
  })
  await cp(join(root, '.github'), join(copy, '.github'), { recursive: true })
})

afterAll(() => rm(copy, { recursive: true, force: true }))

/** Returns what actionlint prints about the workflows in `folder`. Empty: no mistake. */
async function lint(folder: string): Promise<string> {
  const files = (await readdir(join(folder, '.github/workflows'))).map(name => join('.github/workflows', name))
  const args = ['-no-color', '-oneline', '-shellcheck', 'shellcheck', ...files]
  return run(join(TOOLS, 'actionlint'), args, { cwd: folder }).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
}

it('the workflows have no mistakes', async () => {
  expect(await lint(copy)).toBe('')
})

it('actionlint finds a mistake in an expression and in a script', async () => {
  const file = join(copy, '.github/workflows/release.yml')
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace('needs.version.outputs.version', 'needs.versoin.outputs.version'))
  expect(await lint(copy)).toContain('property "versoin" is not defined')
  await writeFile(file, text.replace('echo "version=$version"', 'echo version=$version'))
  expect(await lint(copy)).toContain('SC2086')
  await writeFile(file, text)
})

it('workflows name external actions by their full commit, which cannot be moved', async () => {
  for (const name of await readdir(join(root, '.github/workflows'))) {
    const text = await readFile(join(root, '.github/workflows', name), 'utf8')
    const used = [...text.matchAll(/^ +(?:- )?uses: (\S+)/gm)].map(([, action = '']) => action)
    expect(used.length).toBeGreaterThan(0)
    for (const action of used) expect(action).toMatch(/^\.\/|@[0-9a-f]{40}$/)
  }
})

it('the release publishes every role of the Dockerfile, with build arguments that it has', async () => {
  const dockerfile = await readFile(join(root, 'docker/Dockerfile'), 'utf8')
  const workflow = await readFile(join(root, '.github/workflows/release.yml'), 'utf8')
  const targets = [...dockerfile.matchAll(/^FROM .* AS ([a-z-]+)$/gm)].map(([, name]) => name ?? '')
  const isRole = (name: string) => dockerfile.includes(`packages/${name}/src/`)
  const [, roles = ''] = /^ *role: \[(.*)\]$/m.exec(workflow) ?? []
  expect(roles.split(', ').sort()).toEqual(targets.filter(isRole).sort())
  const [, buildArguments = ''] = /build-args: \|\n((?: +\w+=.*\n)+)/.exec(workflow) ?? []
  const names = [...buildArguments.matchAll(/^ +(\w+)=/gm)].map(([, name]) => name ?? '')
  expect(names).toEqual(['VERSION', 'REVISION'])
  for (const name of names) expect(dockerfile).toMatch(new RegExp(`^ARG ${name}=`, 'm'))
})

it('ci.yml allows .ci/run its own time limits plus the time for set-up', async () => {
  const ci = await readFile(join(root, '.ci/run'), 'utf8')
  const workflow = await readFile(join(root, '.github/workflows/ci.yml'), 'utf8')
  expect(workflow).toMatch(/^ +- run: \.ci\/run$/m)
  const seconds = (name: string) => Number(new RegExp(`^readonly ${name}=(\\d+)$`, 'm').exec(ci)?.[1])
  const minutesMore = Number(/take up to (\d+) minutes more\.$/m.exec(ci)?.[1])
  const limit = Number(/^ +timeout-minutes: (\d+)$/m.exec(workflow)?.[1])
  expect(limit).toBeGreaterThanOrEqual((seconds('TEST_SECONDS') + seconds('PEERS_SECONDS')) / 60 + minutesMore)
})
