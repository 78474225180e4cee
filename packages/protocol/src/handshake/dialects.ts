/** The dialects of the network: v0 is that of April 2024, v2026 the one since 2025. docs/protocol.md tells both. */
export const DIALECTS = ['v0', 'v2026'] as const
export type Dialect = (typeof DIALECTS)[number]
