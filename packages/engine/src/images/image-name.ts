/**
 * Names of images, parsed as Docker parses them. A text that breaks its grammar must not get into a request to the
 * engine.
 */

export interface ImageName {
  /** The registry, `host[:port]`; `docker.io` where the name has none. */
  registry: string
  /** With the `library/` in which Docker Hub keeps its own images. */
  repository: string
  tag: string | undefined
  digest: string | undefined
}

const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const REPOSITORY = new RegExp(`^${PART}(?:/${PART})*$`)
const REGISTRY = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[A-Fa-f0-9:]+\])(?::\d{1,5})?$/
/** Path, tag, digest. A tag holds no slash, so a registry's port is not taken for one. */
const NAME = /^([^@\s]+?)(?::(\w[\w.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?$/
/** The engine takes such a name for the id of an image. */
const ID = /^[a-f0-9]{64}$/

const HUB = 'docker.io'
const HUB_NAMES = [HUB, 'index.docker.io']
const MAX_PATH_CHARACTERS = 255

/** Returns the parts of a name, with the registry and `library/` that Docker adds; undefined when it is not a name. */
export function parseImageName(text: string): ImageName | undefined {
  const [, path = '', tag, digest] = NAME.exec(text) ?? []
  const slash = path.indexOf('/')
  const first = path.slice(0, Math.max(slash, 0))
  const hasRegistry = slash > 0 && (/[.:A-Z]/.test(first) || first === 'localhost')
  const repository = hasRegistry ? path.slice(slash + 1) : path
  if (path.length > MAX_PATH_CHARACTERS || ID.test(text) || !REPOSITORY.test(repository)) return undefined
  if (hasRegistry && !REGISTRY.test(first)) return undefined
  if (hasRegistry && !HUB_NAMES.includes(first)) return { registry: first, repository, tag, digest }
  return { registry: HUB, repository: repository.includes('/') ? repository : `library/${repository}`, tag, digest }
}

export function isImageName(text: string): boolean {
  return parseImageName(text) !== undefined
}

/** Returns the name as the engine takes it: with the tag `latest` when it has none, and without tag beside a digest. */
export function withTag(name: string): string {
  const [, path = name, tag, digest] = NAME.exec(name) ?? []
  return digest === undefined ? `${path}:${tag ?? 'latest'}` : `${path}@${digest}`
}

/** Returns the same text for all names that mean the same image. A text that is not a name stays as it is. */
export function canonicalName(name: string): string {
  const parsed = parseImageName(name)
  return parsed === undefined ? name : withTag(`${repositoryOf(name)}${suffixOf(parsed)}`)
}

/** Returns registry and repository of a name in full; undefined when it is not a name. */
export function repositoryOf(name: string): string | undefined {
  const parsed = parseImageName(name)
  return parsed && `${parsed.registry}/${parsed.repository}`
}

function suffixOf({ tag, digest }: ImageName): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/**
 * Whether an image came from the registry and repository that its name means: the digests of an image name the
 * repositories that it was pulled from or pushed to. An image that has only digests of another repository was given
 * this name on the host; an engine with containerd's image store gives a digest also to what it built itself.
 */
export function isFromRegistry(name: string, digests: readonly string[]): boolean {
  const repository = repositoryOf(name)
  return digests.some(digest => repositoryOf(digest) === repository)
}
