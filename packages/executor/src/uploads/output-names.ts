/** The executor's own files among the outputs, with what the job printed. A job's files of these names do not count. */
export const OWN_FILES = ['stdout.txt', 'stderr.txt'] as const
export type OwnFile = (typeof OWN_FILES)[number]

export function isOwnFile(path: string): path is OwnFile {
  return (OWN_FILES as readonly string[]).includes(path)
}

/** A drive, which makes a name absolute for Windows programs. */
const DRIVE = /^([a-z]):/i

/**
 * Gives each path below /output a name in the zip that every program can unpack. A character that Windows reads as a
 * path elsewhere becomes `_`, and names that would then be the same get a number, `~2`, `~3`, in their order. Files of
 * one folder stay in one folder, and a folder never gets the name of a file.
 */
export class OutputNames {
  readonly #taken = new Set<string>(OWN_FILES)
  readonly #folders = new Map<string, string>()

  /** Returns the name for the next file. */
  next(path: string): string {
    return this.#free(this.#inFolder(path))
  }

  #folder(path: string): string {
    const known = this.#folders.get(path)
    if (known !== undefined) return known
    const name = this.#free(this.#inFolder(path))
    this.#folders.set(path, name)
    return name
  }

  /** Returns the last part of a path, with its special characters replaced, in the zip's folder for its parent. */
  #inFolder(path: string): string {
    const slash = path.lastIndexOf('/')
    const part = path.slice(slash + 1).replaceAll('\\', '_')
    return slash < 0 ? part.replace(DRIVE, '$1_') : `${this.#folder(path.slice(0, slash))}/${part}`
  }

  #free(wanted: string): string {
    let name = wanted
    for (let number = 2; this.#taken.has(name); number += 1) name = `${wanted}~${number}`
    this.#taken.add(name)
    return name
  }
}
