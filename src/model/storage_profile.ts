// What an archive keeps of each event. In: nothing. Out: the profiles' names, for the configuration
// and the store. Never says how: that is sql/.

/**
 * full: all seven fields, byte for byte. light: id, pubkey, created_at, kind and the values of tags.
 * custom: what the operator's own SQL functions store (sql/README.md).
 */
export const STORAGE_PROFILES = ["full", "light", "custom"] as const;
export type StorageProfile = typeof STORAGE_PROFILES[number];
