/** Makes hostile images from the Python image. Commits containers that never ran, which is faster than a build. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { extract, pack } from 'tar-stream'
import { PYTHON } from '../jobs/executor-job.ts'
import { createContainer, getArchive, putArchive, removeContainer } from '../local-engine.ts'
import type { TrialImage } from './trial.ts'

const docker = promisify(execFile)

export class TrialImages implements AsyncDisposable {
  /** Unique, because other runs may use the same engine. */
  readonly #repository = `compute-horde/hostile-${randomUUID()}`
  readonly #made = new Map<string, Promise<string>>()

  /** Returns the image's name. Makes the image on the first call for this trial. */
  ready(name: string, image: TrialImage): Promise<string> {
    const making = this.#made.get(name) ?? this.#make(image, `${this.#repository}:${this.#made.size}`)
    this.#made.set(name, making)
    return making
  }

  async #make({ changes = [], config = {}, links = {}, copies = {} }: TrialImage, name: string): Promise<string> {
    const id = await createContainer({ Image: PYTHON, ...config, HostConfig: { NetworkMode: 'none' } })
    try {
      const tar = pack()
      for (const [path, linkname] of Object.entries(links)) tar.entry({ name: path, type: 'symlink', linkname })
      for (const [path, { from, mode }] of Object.entries(copies)) {
        tar.entry({ name: path, mode, uid: 0, gid: 0 }, await fileOf(id, from))
      }
      tar.finalize()
      await putArchive(id, tar as never, '/')
      await docker('docker', ['commit', ...changes.flatMap(change => ['--change', change]), id, name])
      return name
    } finally {
      await removeContainer(id)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const names = (await Promise.allSettled(this.#made.values())).flatMap(made =>
      made.status === 'fulfilled' ? [made.value] : [],
    )
    if (names.length > 0) await docker('docker', ['image', 'rm', '--force', ...names])
  }
}

async function fileOf(container: string, path: string): Promise<Buffer> {
  const found = Promise.withResolvers<Buffer>()
  const entries = extract().on('entry', (_, contents, next) => {
    buffer(contents).then(found.resolve, found.reject).finally(next)
  })
  entries.end(await getArchive(container, path))
  return found.promise
}
