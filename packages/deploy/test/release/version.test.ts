/** The version stands in one place: the package.json at the repository's root. */
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../..', import.meta.url))
const manifest = async (folder: string) =>
  JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8')) as { version?: string }

it('packages have no version of their own', async () => {
  const packages = await readdir(join(root, 'packages'))
  const manifests = await Promise.all(packages.map(name => manifest(join('packages', name))))
  expect(packages.filter((_, index) => manifests[index]?.version !== undefined)).toEqual([])
})

it.each(['validator/src/main.ts', 'miner/src/main.ts', 'executor/src/start.js'])(
  '%s --version prints the version without any setting',
  async program => {
    const { version } = await manifest('.')
    const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'packages', program), '--version'], {
      env: {},
    })
    expect(stdout).toBe(`${version}\n`)
  },
)

it('the changelog has a heading for the version', async () => {
  const { version } = await manifest('.')
  const headings = (await readFile(join(root, 'CHANGELOG.md'), 'utf8')).match(/^## .*$/gm) ?? []
  expect(headings.map(line => line.split(/[ ,]/)[1])).toContain(version)
})
