export type DatabaseProblem = 'in use' | 'missing'

/** A database cannot be opened. The message is for operators and holds no password. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  /** What somebody may want to tell apart: a folder that another process has, one in which there is no database yet. */
  readonly problem: DatabaseProblem | undefined

  constructor(message: string, options: ErrorOptions & { problem?: DatabaseProblem } = {}) {
    super(message, options)
    this.problem = options.problem
  }
}
