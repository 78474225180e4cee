/** Our own files in every zip of outputs; a job's files of these names are left out. */
export const OUR_FILES: readonly string[] = ['stdout.txt', 'stderr.txt']

/** What makes a name absolute to Windows programs. */
const DRIVE = /^([a-z]):/i

/**
 * Names for the zip: one for each path beneath /output, so that every program unpacks what the job wrote. What Windows
 * reads as a way elsewhere is exchanged for `_`, and what would then be two of one name is numbered, `~2`, `~3`, in the
 * order in which it comes. Folders keep their files together, and never become files.
 */
export class OutputNames {
  readonly #taken = new Set(OUR_FILES)
  readonly #folders = new Map<string, string>()

  /** The name of another file. */
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

  /** A path's last part, made harmless, in the folder of the zip that stands for its folder. */
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
