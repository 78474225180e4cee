/** Lays the files of all volumes over each other, before the first of them is written. */
import { JobFailure } from '../job/job-failure.ts'
import { parentsOf } from './volume-path.ts'

/** A file of a volume. */
export interface InputFile {
  /** In bytes; the contents have exactly so many, or fail. */
  size: number
  isExecutable: boolean
  /** Small files may come at once. Rejects, and the stream does, with JobFailure. */
  contents(): Promise<Buffer | AsyncIterable<Buffer>>
}

/** What a path leads to. */
export type InputNode = 'folder' | (InputFile & { /** The position of its volume. */ volume: number })

export class InputTree {
  readonly #nodes = new Map<string, InputNode>()

  /** All files and folders by their path below /volume. A folder comes before what it holds. */
  get nodes(): ReadonlyMap<string, InputNode> {
    return this.#nodes
  }

  /**
   * Adds a folder with those above it, and returns how many of them are new. Throws JobFailure when there is a file
   * where it needs a folder.
   */
  addFolder(path: string): number {
    if (path === '' || this.#nodes.get(path) === 'folder') return 0
    let added = 0
    for (const folder of [...parentsOf(path), path]) {
      const there = this.#nodes.get(folder)
      if (there === 'folder') continue
      if (there !== undefined) {
        throw new JobFailure('It needs a folder where an earlier volume has a file; rename one of them')
      }
      this.#nodes.set(folder, 'folder')
      added += 1
    }
    return added
  }

  /**
   * Adds a file with the folders above it, in place of an earlier volume's file of the same path. Returns how many
   * files and folders it added or replaced. Throws JobFailure when there is a folder.
   */
  addFile(path: string, file: InputFile, volume: number): number {
    const added = this.addFolder(path.slice(0, Math.max(0, path.lastIndexOf('/'))))
    if (this.#nodes.get(path) === 'folder') {
      throw new JobFailure('It has a file where an earlier volume has a folder; rename one of them')
    }
    this.#nodes.set(path, { ...file, volume })
    return added + 1
  }
}
