/** Tests how the server's scripts change a role's settings in .env. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ServerFunctions } from '../../src/testing/server-functions.ts'

let server: ServerFunctions
beforeEach(async () => {
  server = await ServerFunctions.open()
})
afterEach(() => server[Symbol.asyncDispose]())

const answers = (command: string) => server.outputOf(command)

describe('.env', () => {
  const withFile = async (text: string) => {
    await mkdir(join(server.folder, 'root/miner'), { recursive: true })
    await writeFile(join(server.folder, 'root/miner/.env'), text)
  }
  const content = async () => (await server.call('cat "$folder/.env"')).output

  test('changes only in the line of the setting', async () => {
    await withFile('# A.\nA=1\n\n# B.\n#B=2\nAB=3')
    await server.call('set_setting A "x y=z"; set_setting B 5; set_setting C 7')
    expect(await content()).toBe('# A.\nA=x y=z\n\n# B.\nB=5\nAB=3\nC=7\n')
    await server.call('set_setting B 6')
    expect(await content()).toContain('\nB=6\n')
  })

  test('keeps the settings of the owner, adds new ones with their comments, and names obsolete ones', async () => {
    await withFile('A=mine\nGONE=1\n')
    await writeFile(join(server.folder, 'example'), '# Settings.\n\n# A says a.\n#A=1\n\n# New says n.\n#NEW=2\n')
    const file = `${server.folder}/root/miner/.env`
    expect(await answers('merge_settings "$FOLDER/example"')).toBe(
      `say New settings in ${file}: NEW\nsay ${file} sets GONE, which is no longer a setting: remove the line\n`,
    )
    expect(await content()).toBe('A=mine\nGONE=1\n\n# New says n.\n#NEW=2\n')
    expect(await answers('merge_settings "$FOLDER/example"')).not.toContain('New settings')
  })
})

describe("the database's image", () => {
  const compose = fileURLToPath(new URL('../../../../docker/compose.miner.yml', import.meta.url))
  const digest = `sha256:${'5'.repeat(64)}`
  /** Runs the step of an installation that pins the image. Returns the image that .env then names. */
  const pinnedImage = async (env: string, docker: string) => {
    await server.fake('docker', docker)
    const folder = 'mkdir -p "$folder"; cp "$COMPOSE" "$folder/compose.yml"; printf "%s" "$ENV" >"$folder/.env"'
    return (
      await answers(`COMPOSE='${compose}'; ENV='${env}'; ${folder}; pin_database_image; setting POSTGRES_IMAGE`)
    ).trim()
  }
  const pulled = `case "$*" in *RepoDigests*) echo other@sha256:1; echo postgres@${digest};; esac`

  test('is pinned by its digest, in its line of the example', async () => {
    expect(await pinnedImage('#POSTGRES_IMAGE=postgres:15', pulled)).toBe(`postgres:15@${digest}`)
  })

  test('is pulled first if it is missing', async () => {
    const inspect = `"image inspect postgres:15") [ -e "$HOME/pulled" ];; *RepoDigests*) echo postgres@${digest};;`
    const docker = `case "$*" in pull*) echo 1 >"$HOME/pulled";; ${inspect} esac`
    expect(await pinnedImage('A=1', docker)).toBe(`postgres:15@${digest}`)
  })

  test('stays unpinned if it has no digest, or if the owner has named it', async () => {
    expect(await pinnedImage('', 'exit 0')).toBe('')
    expect(await pinnedImage('POSTGRES_IMAGE=mine:1', pulled)).toBe('mine:1')
  })
})
