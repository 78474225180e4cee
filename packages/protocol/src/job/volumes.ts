/** What a job reads: the volumes that the executor loads into /volume, in no peer's dialect. */

/** Where a volume goes, below /volume: a relative path. Null is /volume itself. */
type Folder = string | null

export type Volume =
  /** `base64` is a zip, which is unpacked. */
  | { kind: 'inline-zip'; base64: string; folder: Folder }
  /** The zip behind a URL, which is unpacked. */
  | { kind: 'zip-url'; url: string; folder: Folder }
  /** The file behind a URL, stored as `path` below /volume. */
  | { kind: 'file-url'; url: string; path: string }
  | HuggingFaceVolume

/** A snapshot of a repository of Hugging Face. */
export interface HuggingFaceVolume {
  kind: 'hugging-face'
  repoId: string
  /** Null: a model. */
  repoType: 'model' | 'dataset' | 'space' | null
  /** A branch, tag or commit. Null: the main branch. */
  revision: string | null
  /** Shell patterns of the files to load. Null: all. */
  allowPatterns: string[] | null
  /** The user's access token. Secret. */
  token: string | null
  folder: Folder
}
