/** Names of images, read as Docker reads them. What does not follow its grammar never gets into a request to the engine. */

export interface ImageName {
  /** Where it is pulled from, `host[:port]`; `docker.io` where the name has none. */
  registry: string
  /** With the `library/` that Docker Hub's own images are in. */
  repository: string
  tag: string | undefined
  digest: string | undefined
}

const PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const REPOSITORY = new RegExp(`^${PART}(?:/${PART})*$`)
const REGISTRY = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[A-Fa-f0-9:]+\])(?::\d{1,5})?$/
/** Path, tag, digest; a tag holds no slash, so that a registry's port is never taken for one. */
const NAME = /^([^@\s]+?)(?::(\w[\w.-]{0,127}))?(?:@(sha256:[a-f0-9]{64}))?$/
/** The engine would take it for the id of an image. */
const ID = /^[a-f0-9]{64}$/

const HUB = 'docker.io'
const HUB_NAMES = [HUB, 'index.docker.io']
const MAX_PATH_CHARACTERS = 255

/** The parts of a name, with what Docker adds to it but for the tag; undefined for what is not the name of an image. */
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

/**
 * The name as the engine takes it. Without tag and digest it means `latest`, never all tags; beside a digest a tag means
 * nothing.
 */
export function withTag(name: string): string {
  const [, path = name, tag, digest] = NAME.exec(name) ?? []
  return digest === undefined ? `${path}:${tag ?? 'latest'}` : `${path}@${digest}`
}

/** The one spelling of all names that mean the same image. What is not a name stays as it is. */
export function canonicalName(name: string): string {
  const parsed = parseImageName(name)
  return parsed === undefined ? name : withTag(`${repositoryOf(name)}${suffixOf(parsed)}`)
}

/** The repository of a name, with its registry, in full; undefined for what is not the name of an image. */
export function repositoryOf(name: string): string | undefined {
  const parsed = parseImageName(name)
  return parsed && `${parsed.registry}/${parsed.repository}`
}

function suffixOf({ tag, digest }: ImageName): string {
  return `${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** The image to use for a name, by the aliases (`wanted=used`) of this host. */
export function resolveAlias(name: string, aliases: readonly string[]): string {
  const wanted = canonicalName(name)
  for (const alias of aliases) {
    const [from = '', to = ''] = alias.split('=')
    if (canonicalName(from) === wanted) return withTag(to)
  }
  return withTag(name)
}
