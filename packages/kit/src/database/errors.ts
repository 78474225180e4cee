/** A database cannot be opened. The message is for operators and holds no password. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
}
