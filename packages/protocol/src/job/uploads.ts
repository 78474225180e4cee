/** What a job delivers: the uploads that the executor makes from /output, in no peer's dialect. */

/** One file of /output. */
export type FileUpload = {
  url: string
  /** Below /output, checked: see `outputPathProblem`. */
  path: string
  headers: Record<string, string>
} & ({ method: 'PUT' } | { method: 'POST'; formFields: Record<string, string> })

/**
 * All of /output as one zip. `portable`: compressed, with names that every program can unpack, and put with the type of
 * a zip. `exact`: stored, with the names as they are on the disk, and put without a type.
 */
export type ZipUpload = { url: string; name: ZipName; format: 'portable' | 'exact' } & (
  | { method: 'PUT' }
  | { method: 'POST'; formFields: Record<string, string> }
)

export interface Uploads {
  files: FileUpload[]
  /** Without the files that `files` names. */
  zip: ZipUpload | null
  /** Whether a job that failed uploads, too. */
  afterFailure: boolean
}

export const NO_UPLOADS: Uploads = { files: [], zip: null, afterFailure: false }

/** What a target of an upload answered. */
export interface UploadAnswer {
  /** Names in lower case. */
  headers: Record<string, string>
  body: string
}

/** The name of a zip among the answers; files are named by their path. */
export type ZipName = 'output.zip' | 'system_output'

/** How many bytes of UTF-8 a component of a path may have. */
const MAX_COMPONENT_BYTES = 255

/**
 * Returns what is wrong with the path of an upload; undefined for a good one. Paths are not normalised: `./a` and
 * `a//b` are refused, since two spellings of one file would be two uploads.
 */
export function outputPathProblem(path: string): string | undefined {
  if (path === '') return 'must not be empty'
  if (path.startsWith('/')) return 'must be relative'
  if (path.endsWith('/')) return 'must name a file, not a folder'
  if (path.includes('\\')) return 'must not contain a backslash'
  if (path.includes('\0')) return 'must not contain a NUL character'
  for (const component of path.split('/')) {
    if (component === '' || component === '.' || component === '..') return 'must not have empty, "." or ".." parts'
    if (Buffer.byteLength(component) > MAX_COMPONENT_BYTES)
      return `must not have parts over ${MAX_COMPONENT_BYTES} bytes`
  }
  return undefined
}
