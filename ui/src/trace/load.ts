// Fetches a trace. In: its id. Out: its bytes. Small, and part of the first load: where the address is a trace's, the request is under
// way while the rest of the trace page is still being loaded.
import { api } from '../api';

type OnBytes = (loaded: number, total: number) => void;

let early: { id: string; listeners: Set<OnBytes>; bytes: Promise<ArrayBuffer> } | undefined;

/** Starts the request; the next `loadBytes` of this trace takes it over. */
export function loadEarly(id: string): void {
  const listeners = new Set<OnBytes>();
  const bytes = api.trace(id, (loaded, total) => listeners.forEach((hear) => hear(loaded, total)));
  // Who takes it over hears of a failure; nobody else needs to.
  bytes.catch(() => {});
  early = { id, listeners, bytes };
}

export function loadBytes(id: string, onBytes: OnBytes, signal: AbortSignal): Promise<ArrayBuffer> {
  const begun = early;
  early = undefined;
  if (begun?.id !== id) return api.trace(id, onBytes, signal);
  begun.listeners.add(onBytes);
  return begun.bytes;
}
