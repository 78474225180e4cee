export type DatabaseProblem = 'in use' | 'missing' | 'newer'

/** A database cannot be opened. The message is for operators and contains no password. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  /** Another process uses the folder, there is no database yet, or a newer release has migrated it. */
  readonly problem: DatabaseProblem | undefined

  constructor(message: string, options: ErrorOptions & { problem?: DatabaseProblem } = {}) {
    super(message, options)
    this.problem = options.problem
  }
}
