/** An executor's images by settings of a test's choosing, with a memory and a log of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { readSettings } from '@horde/kit/config'
import { createLog } from '@horde/kit/log'
import { hostSettings } from '../../src/config.ts'
import { openStateFolder, type StateFolder } from '../../src/host/state-folder.ts'
import { ImageStore } from '../../src/images/image-store.ts'
import { engine } from '../engine.ts'

export class ImageHost implements AsyncDisposable {
  readonly path: string
  readonly state: StateFolder
  /** What was logged at info and above. */
  readonly lines: Record<string, unknown>[] = []
  readonly log = createLog('test', {
    destination: new Writable({
      write: (chunk, _, done) => {
        this.lines.push(JSON.parse(chunk))
        done()
      },
    }),
  })

  private constructor(path: string, state: StateFolder) {
    this.path = path
    this.state = state
  }

  static async open(): Promise<ImageHost> {
    const path = await mkdtemp(join(tmpdir(), 'image-host-'))
    const host = new ImageHost(path, await openStateFolder(path, createLog('test', { level: 'silent' })))
    return host
  }

  /** What a new executor on this host makes of its images. */
  executor(env: Record<string, string> = {}): ImageStore {
    return new ImageStore({ engine, settings: readSettings(hostSettings, env), state: this.state, log: this.log })
  }

  /** The messages that were logged at a level. */
  logged(level: 'info' | 'warn' | 'error'): unknown[] {
    return this.lines.filter(line => line.level === level).map(({ msg }) => msg)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true })
  }
}
