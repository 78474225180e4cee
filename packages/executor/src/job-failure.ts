/** A job that could not be run as it was asked for: the sentence goes to whoever asked. */
export class JobFailure extends Error {
  override readonly name = 'JobFailure'
}
