/** Tests which images docker/build-images.sh builds, with a fake engine that only stores names and labels. */
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'

const run = promisify(execFile)
const CHECKOUT = fileURLToPath(new URL('../../../..', import.meta.url))
/** A `docker` that stores each image as a file with the image's name and, as content, its definition. */
const FAKE_DOCKER = `#!/bin/bash
path() { printf '%s/%s' "$ENGINE_FOLDER" "\${1//\\//%}"; }
case $1 in
  build)
    while [ $# -gt 0 ]; do
      case $1 in --tag) tag=$2 ;; --label) case $2 in *definition=*) definition=\${2#*=} ;; esac ;; esac
      shift
    done
    echo "$definition" >"$(path "$tag")" ;;
  tag) cp "$(path "$2")" "$(path "$3")" ;;
  image) [ "$2" = prune ] || cat "$(path "\${@: -1}")" ;;
esac
`

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fake-engine-'))
  await writeFile(join(folder, 'docker'), FAKE_DOCKER)
  await chmod(join(folder, 'docker'), 0o755)
})
afterEach(() => rm(folder, { recursive: true }))

/** Builds the executor's image with a version. Returns what the script printed on stderr. */
async function build(version: string): Promise<string> {
  const own = { ENGINE_FOLDER: folder, PATH: `${folder}:${process.env.PATH}`, IMAGE_PREFIX: 'fake' }
  const env = { ...process.env, ...own, COMPUTE_HORDE_VERSION: version }
  return (await run(join(CHECKOUT, 'docker/build-images.sh'), ['executor'], { env })).stderr
}

/** Lists the executor's images. */
const tags = async () => (await readdir(folder)).filter(name => name.startsWith('fake%executor:')).sort()

it('does not build an executor again whose definition has not changed', async () => {
  expect(await build('1.0.0')).toContain('fake/executor:v0 fake/executor:1.0.0 built')
  expect(await build('1.0.0')).toContain('fake/executor:v0 is up to date')
})

it('builds an executor with another version, even if nothing else has changed', async () => {
  await build('1.0.0')
  expect(await build('1.0.1')).toContain('fake/executor:v0 fake/executor:1.0.1 built')
  expect(await tags()).toEqual(['fake%executor:1.0.0', 'fake%executor:1.0.1', 'fake%executor:v0'])
})
