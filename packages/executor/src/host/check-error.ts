/** This host cannot run jobs as they must be run. */
export class CheckError extends Error {
  override readonly name = 'CheckError'
}
