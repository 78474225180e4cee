export interface PostgresTarget {
  dialect: 'postgres'
  url: string
  /** User, host, port and name, for messages. */
  shown: string
}

export interface PgliteTarget {
  dialect: 'pglite'
  /** undefined: in memory. */
  folder: string | undefined
}

const FORMS = 'postgres://user:password@host:5432/name, pglite://<folder> or pglite://memory'

/** Parses a database URL. A problem does not repeat the URL, which may hold a password. */
export function parseDatabaseUrl(url: string): PostgresTarget | PgliteTarget | { problem: string } {
  const [, scheme, rest] = /^([a-z]+):\/\/(.*)$/s.exec(url) ?? []
  if (scheme === 'pglite') {
    if (!rest || /[?#]/.test(rest)) return { problem: 'must name a folder: pglite://<folder>, or pglite://memory' }
    return { dialect: 'pglite', folder: rest === 'memory' ? undefined : rest }
  }
  if (scheme !== 'postgres' && scheme !== 'postgresql') return { problem: `must be ${FORMS}` }
  const parsed = URL.parse(url)
  const user = parsed && decoded(parsed.username)
  // An @ after the host means an unescaped / ? or # in the password, which would then show up as host or path.
  const cutShort = parsed && `${parsed.pathname}${parsed.search}${parsed.hash}`.includes('@')
  if (!parsed || cutShort || user === undefined || decoded(parsed.password) === undefined) {
    return { problem: 'must be a URL in which special characters of the password are escaped (%40 for @, %2F for /)' }
  }
  return { dialect: 'postgres', url, shown: `${user ? `${user}@` : ''}${parsed.host}${parsed.pathname}` }
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
