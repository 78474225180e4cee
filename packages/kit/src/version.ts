import manifest from '../../../package.json' with { type: 'json' }

/** The version of this release, from the package.json at the top of the workspace. */
export const version: string = manifest.version
