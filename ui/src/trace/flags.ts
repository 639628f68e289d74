// Bits of the column `flags` and values of the columns `remote` and `kind` (docs/page-api.md).

export const FLAG_ERROR = 1;
export const FLAG_SHARED = 2;
export const FLAG_DEBUG = 4;
export const FLAG_ORPHAN = 8;
export const FLAG_NO_START = 16;
export const FLAG_NO_DURATION = 32;
export const NO_REMOTE = 0xffffffff;
export const KINDS = ['', 'internal', 'client', 'server', 'producer', 'consumer'] as const;
