/** How weights are committed where the chain takes both: by hash, or sealed for a round of drand. */
export const COMMITS_BY = ['hash', 'timelock'] as const
export type CommitBy = (typeof COMMITS_BY)[number]
