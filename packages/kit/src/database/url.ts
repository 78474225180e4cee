export interface PostgresTarget {
  dialect: 'postgres'
  url: string
  /** For messages: user, host, port and name. */
  shown: string
}

export interface PgliteTarget {
  dialect: 'pglite'
  /** undefined: in memory. */
  folder: string | undefined
}

const FORMS = 'postgres://user:password@host:5432/name, pglite://<folder> or pglite://memory'

/** Where a database is, or what is wrong with its URL: without repeating it, for it may hold a password. */
export function parseDatabaseUrl(url: string): PostgresTarget | PgliteTarget | { problem: string } {
  const [, scheme, rest] = /^([a-z]+):\/\/(.*)$/s.exec(url) ?? []
  if (scheme === 'pglite') {
    if (!rest || /[?#]/.test(rest)) return { problem: 'must name a folder: pglite://<folder>, or pglite://memory' }
    return { dialect: 'pglite', folder: rest === 'memory' ? undefined : rest }
  }
  if (scheme !== 'postgres' && scheme !== 'postgresql') return { problem: `must be ${FORMS}` }
  const parsed = URL.parse(url)
  const user = parsed && decoded(parsed.username)
  // An @ after the host: a password with an unescaped / ? or #, of which the host and the path would then be part.
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
