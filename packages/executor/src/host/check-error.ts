/** This host must not run jobs. */
export class CheckError extends Error {
  override readonly name = 'CheckError'
}
