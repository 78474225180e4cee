/** A database cannot be opened. The message is for operators and holds no password. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
}

export type DatabaseTarget =
  | { dialect: 'pglite' /** undefined: in memory. */; folder: string | undefined }
  | { dialect: 'postgres'; url: string /** For messages: user, host, port and name. */; shown: string }

const FORMS = 'postgres://user:password@host:5432/name, pglite://<folder> or pglite://memory'

/** @throws DatabaseError with a message that does not repeat the URL, for it may hold a password */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  const [, scheme, rest] = /^([a-z]+):\/\/(.*)$/s.exec(url) ?? []
  if (scheme === 'pglite') {
    if (!rest || /[?#]/.test(rest)) throw new DatabaseError('must name a folder: pglite://<folder>, or pglite://memory')
    return { dialect: 'pglite', folder: rest === 'memory' ? undefined : rest }
  }
  if (scheme !== 'postgres' && scheme !== 'postgresql') throw new DatabaseError(`must be ${FORMS}`)
  const parsed = URL.parse(url)
  if (!parsed) {
    throw new DatabaseError(
      'is not a valid postgres:// URL (special characters in the password are written %40 and so on)',
    )
  }
  const user = parsed.username === '' ? '' : `${decodeURIComponent(parsed.username)}@`
  return { dialect: 'postgres', url, shown: `${user}${parsed.host}${parsed.pathname}` }
}
