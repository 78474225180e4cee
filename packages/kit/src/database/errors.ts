export type DatabaseProblem = 'in use' | 'missing' | 'newer'

/** A database cannot be opened. The message is for operators and holds no password. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  /** Another process has the folder, there is no database in it yet, or a newer release has migrated the database. */
  readonly problem: DatabaseProblem | undefined

  constructor(message: string, options: ErrorOptions & { problem?: DatabaseProblem } = {}) {
    super(message, options)
    this.problem = options.problem
  }
}
